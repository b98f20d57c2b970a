-- Provenance beside the history. Times are microseconds since 1970, UTC.

-- The texts of statements, by which footprints name them.
CREATE TABLE prov_text (
    id INTEGER PRIMARY KEY, -- footprint.TextID of the text
    text TEXT NOT NULL
);

-- What was read outside of transactions: reads change nothing, so the history
-- does not have them.
CREATE TABLE prov_view (
    id TEXT NOT NULL PRIMARY KEY,
    lsn INTEGER NOT NULL, -- the snapshot that was read
    at INTEGER NOT NULL,
    principal TEXT NOT NULL,
    procedure TEXT NOT NULL,
    execution TEXT NOT NULL, -- '' outside of one
    note BLOB NOT NULL -- a footprint
);
CREATE INDEX prov_view_lsn ON prov_view (lsn);

-- The column stores that follow this database. History that one of them has not
-- got yet is not trimmed.
CREATE TABLE prov_warehouse (
    id TEXT NOT NULL PRIMARY KEY,
    node TEXT NOT NULL, -- the process that has it open
    lsn INTEGER NOT NULL, -- all commits up to here are durable in it
    at INTEGER NOT NULL -- when that was
);

-- What has been undone: one row for each execution that an undo took back.
CREATE TABLE prov_undo (
    id TEXT NOT NULL, -- of the undo
    execution TEXT NOT NULL,
    lsn INTEGER NOT NULL, -- the execution's first commit that was taken back
    at INTEGER NOT NULL,
    principal TEXT NOT NULL, -- who undid it
    reason TEXT NOT NULL, -- why it was among the undone
    report TEXT NOT NULL, -- JSON
    PRIMARY KEY (id, execution)
);
CREATE INDEX prov_undo_execution ON prov_undo (execution);
