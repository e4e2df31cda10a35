-- Signing keys of the OpenID issuer. They belong to no project. The state is
-- what the times say; it is a column so that there is one of each.

CREATE TABLE issuer_keys (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 43),
    state TEXT NOT NULL CHECK (state IN ('next', 'active', 'retired')),
    created_at INTEGER NOT NULL,
    activated_at INTEGER,
    retired_at INTEGER,
    sealed BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX issuer_keys_one_of_each ON issuer_keys (state) WHERE state <> 'retired';
