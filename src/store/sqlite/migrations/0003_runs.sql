-- Runs of pipelines. They outlive the stack and the principal that they name.
-- `over_at` is when it was finished, or when it ends at the latest.

CREATE TABLE runs (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    project BLOB NOT NULL REFERENCES projects (id),
    principal BLOB NOT NULL,
    stack BLOB NOT NULL,
    name TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    over_at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_time ON runs (project, started_at, id, over_at);
CREATE INDEX runs_by_principal ON runs (principal, started_at, id, over_at);
CREATE INDEX runs_by_name ON runs (project, name, started_at);
CREATE INDEX runs_by_end ON runs (principal, over_at);

-- The run that a token is of, if it is of one.
ALTER TABLE tokens ADD COLUMN run BLOB;
CREATE INDEX tokens_by_run ON tokens (run) WHERE run IS NOT NULL;

ALTER TABLE issuances ADD COLUMN run BLOB;
CREATE INDEX issuances_by_run ON issuances (run, issued_at, id, expires_at, ended) WHERE run IS NOT NULL;
