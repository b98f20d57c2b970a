-- The journal: one row for each finished step. Times are microseconds since
-- 1970, UTC. COLLATE "C" compares bytes, as the embedded engine does.
CREATE TABLE wf_step (
    execution text COLLATE "C" NOT NULL, -- sched_task.id
    seq bigint NOT NULL, -- in the order of the program, from 1
    kind text COLLATE "C" NOT NULL, -- step, transaction, sleep, start, result, event, get
    name text COLLATE "C" NOT NULL,
    digest text COLLATE "C", -- of the arguments
    output text, -- in the execution's codec
    error text, -- JSON; output and error are never both set
    attempts bigint NOT NULL,
    started_at bigint NOT NULL, -- by the node's clock
    finished_at bigint NOT NULL,
    PRIMARY KEY (execution, seq)
);

-- What executions publish while they run.
CREATE TABLE wf_event (
    execution text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    value text NOT NULL, -- in the execution's codec
    set_at bigint NOT NULL,
    PRIMARY KEY (execution, key)
);
