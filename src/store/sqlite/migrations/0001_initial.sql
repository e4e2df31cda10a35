-- The first schema. Never edited once released: a change is a new migration.
-- Ids are the 16 bytes of a UUID; times are milliseconds since the epoch, UTC.
-- `body` is the record as JSON; the columns beside it repeat what queries need.

CREATE TABLE projects (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE keks (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    project BLOB NOT NULL REFERENCES projects (id),
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

-- How many records of a noun a project has, so that the limit costs no scan.
CREATE TABLE record_counts (
    project BLOB NOT NULL REFERENCES projects (id),
    noun TEXT NOT NULL,
    records INTEGER NOT NULL,
    PRIMARY KEY (project, noun)
) STRICT, WITHOUT ROWID;

-- Labels by name, so that a filtered page begins where the last one ended.
CREATE TABLE labels (
    project BLOB NOT NULL REFERENCES projects (id),
    noun TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (project, noun, key, value, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE connectors (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    project BLOB NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    connector_type TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (project, name)
) STRICT;
CREATE INDEX connectors_by_type ON connectors (project, connector_type, name);

CREATE TABLE sealed_fields (
    connector BLOB NOT NULL REFERENCES connectors (id),
    position INTEGER NOT NULL,
    project BLOB NOT NULL,
    field TEXT NOT NULL,
    secret_version INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (connector, position)
) STRICT;
CREATE INDEX sealed_fields_by_project ON sealed_fields (project);

CREATE TABLE components (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    project BLOB NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    component_type TEXT NOT NULL,
    connector BLOB REFERENCES connectors (id),
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (project, name)
) STRICT;
CREATE INDEX components_by_connector ON components (connector, name) WHERE connector IS NOT NULL;

CREATE TABLE stacks (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    project BLOB NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (project, name)
) STRICT;

CREATE TABLE stack_components (
    stack BLOB NOT NULL REFERENCES stacks (id),
    component BLOB NOT NULL REFERENCES components (id),
    PRIMARY KEY (stack, component)
) STRICT, WITHOUT ROWID;
CREATE INDEX stack_components_by_component ON stack_components (component);

CREATE TABLE principals (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    project BLOB NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (project, name)
) STRICT;

CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    project BLOB NOT NULL,
    principal BLOB NOT NULL REFERENCES principals (id),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    description TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    created_by BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_principal ON tokens (principal, created_at, id, expires_at);

CREATE TABLE bindings (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    project BLOB NOT NULL REFERENCES projects (id),
    principal BLOB NOT NULL REFERENCES principals (id),
    connector BLOB REFERENCES connectors (id),
    component BLOB REFERENCES components (id),
    owner INTEGER NOT NULL, -- 1 for the owner role on the whole project
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX bindings_by_time ON bindings (project, created_at, id);
CREATE INDEX bindings_by_principal ON bindings (principal, created_at, id);
CREATE INDEX bindings_by_connector ON bindings (connector) WHERE connector IS NOT NULL;
CREATE INDEX bindings_by_component ON bindings (component) WHERE component IS NOT NULL;
CREATE INDEX bindings_of_owners ON bindings (project, expires_at) WHERE owner = 1;

-- Issuances outlive what they name. The indexes cover the filter, so that a
-- page reads no record that it does not show.
CREATE TABLE issuances (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    project BLOB NOT NULL REFERENCES projects (id),
    connector BLOB NOT NULL,
    principal BLOB NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX issuances_by_time ON issuances (project, issued_at, id, expires_at, ended);
CREATE INDEX issuances_by_connector ON issuances (connector, issued_at, id, expires_at, ended);
CREATE INDEX issuances_by_principal ON issuances (principal, issued_at, id, expires_at, ended);

CREATE TABLE requests (
    project BLOB NOT NULL,
    principal BLOB NOT NULL,
    request_id BLOB NOT NULL,
    body_digest BLOB NOT NULL CHECK (length(body_digest) = 32),
    response BLOB NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (project, principal, request_id)
) STRICT;
CREATE INDEX requests_by_time ON requests (at);

-- The feed. Revisions are gapless; one may have several changes.
CREATE TABLE changes (
    revision INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    project BLOB NOT NULL,
    noun TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (revision, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    project BLOB,
    principal BLOB,
    connector BLOB,
    outcome TEXT NOT NULL,
    body BLOB NOT NULL,
    previous BLOB NOT NULL CHECK (length(previous) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE TRIGGER ledger_is_never_updated BEFORE UPDATE ON ledger
BEGIN
    SELECT raise(ABORT, 'the ledger is append-only');
END;
CREATE TRIGGER ledger_is_never_deleted BEFORE DELETE ON ledger
BEGIN
    SELECT raise(ABORT, 'the ledger is append-only');
END;

CREATE TABLE open_intents (
    seq INTEGER PRIMARY KEY REFERENCES ledger (seq)
) STRICT;

-- An index of the ledger by full blocks of 256 lines, where an index by line
-- would dirty a page for each line: between which times a block was written,
-- and a filter of what may occur in it.
CREATE TABLE ledger_blocks (
    block INTEGER PRIMARY KEY,
    at_min INTEGER NOT NULL,
    at_max INTEGER NOT NULL,
    filter BLOB NOT NULL
) STRICT;
