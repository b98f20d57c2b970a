-- Provenance beside the history. Times are microseconds since 1970, UTC. The
-- columns are those of the embedded engine's tables.

-- The texts of statements, by which footprints name them.
CREATE TABLE prov_text (
    id bigint NOT NULL PRIMARY KEY, -- footprint.TextID of the text
    text text NOT NULL
);

-- What was read outside of transactions: reads change nothing, so the history
-- does not have them.
CREATE TABLE prov_view (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    lsn bigint NOT NULL, -- the snapshot that was read
    at bigint NOT NULL,
    principal text COLLATE "C" NOT NULL,
    procedure text COLLATE "C" NOT NULL,
    execution text COLLATE "C" NOT NULL, -- '' outside of one
    note bytea NOT NULL -- a footprint
);
CREATE INDEX prov_view_lsn ON prov_view (lsn);

-- The column stores that follow this database. History that one of them has not
-- got yet is not trimmed.
CREATE TABLE prov_warehouse (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    node text COLLATE "C" NOT NULL, -- the process that has it open
    lsn bigint NOT NULL, -- all commits up to here are durable in it
    at bigint NOT NULL -- when that was
);

-- What has been undone: one row for each execution that an undo took back.
CREATE TABLE prov_undo (
    id text COLLATE "C" NOT NULL, -- of the undo
    execution text COLLATE "C" NOT NULL,
    lsn bigint NOT NULL, -- the execution's first commit that was taken back
    at bigint NOT NULL,
    principal text COLLATE "C" NOT NULL, -- who undid it
    reason text NOT NULL, -- why it was among the undone
    report text NOT NULL, -- JSON
    PRIMARY KEY (id, execution)
);
CREATE INDEX prov_undo_execution ON prov_undo (execution);
