-- What was over long ago is forgotten by project, so that the runs of a
-- principal that is gone go too.

CREATE INDEX runs_over ON runs (project, over_at);
