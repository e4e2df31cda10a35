-- A seal for each record that decides who may do what, or where a secret goes:
-- a MAC under a key that is not in this file. `slot` is the record's name,
-- digested. The head is a MAC over all seals and the revision they are of, so
-- that a record cannot be put back as it was, nor a deleted one come back.

CREATE TABLE record_seals (
    slot BLOB NOT NULL PRIMARY KEY CHECK (length(slot) = 16),
    tag BLOB NOT NULL CHECK (length(tag) = 16)
) STRICT, WITHOUT ROWID;

CREATE TABLE seal_head (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL,
    tag BLOB NOT NULL CHECK (length(tag) = 32)
) STRICT;
