-- The journal: one row for each finished step. Times are microseconds since
-- 1970, UTC.
CREATE TABLE wf_step (
    execution TEXT NOT NULL, -- sched_task.id
    seq INTEGER NOT NULL, -- in the order of the program, from 1
    kind TEXT NOT NULL, -- step, transaction, sleep, start, result, event, get
    name TEXT NOT NULL,
    digest TEXT, -- of the arguments
    output TEXT, -- in the execution's codec
    error TEXT, -- JSON; output and error are never both set
    attempts INTEGER NOT NULL,
    started_at INTEGER NOT NULL, -- by the node's clock
    finished_at INTEGER NOT NULL,
    PRIMARY KEY (execution, seq)
) WITHOUT ROWID;

-- What executions publish while they run.
CREATE TABLE wf_event (
    execution TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, -- in the execution's codec
    set_at INTEGER NOT NULL,
    PRIMARY KEY (execution, key)
) WITHOUT ROWID;
