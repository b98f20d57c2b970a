-- The process table. Times are microseconds since 1970, UTC.
CREATE TABLE sched_task (
    seq INTEGER PRIMARY KEY, -- order of arrival
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL, -- of the workflow
    queue TEXT NOT NULL, -- '' for none
    state TEXT NOT NULL, -- queued, running, waiting; or finally succeeded, failed, cancelled
    priority INTEGER NOT NULL, -- higher goes first
    codec TEXT NOT NULL, -- of input and output, and of the journal
    input TEXT NOT NULL,
    output TEXT,
    error TEXT, -- JSON
    parent TEXT, -- the task that started it
    principal TEXT NOT NULL, -- on whose behalf it runs
    version TEXT NOT NULL, -- of the application that submitted it
    worker TEXT, -- who executes it, while running
    epoch INTEGER NOT NULL, -- fencing token, grows with every claim
    attempt INTEGER NOT NULL, -- how many claims there were
    recoveries INTEGER NOT NULL DEFAULT 0, -- claims that ended with the worker's death
    wake_at INTEGER, -- while waiting: when to go on at the latest
    wait_on TEXT, -- while waiting: the task whose news ends the wait
    awaited INTEGER NOT NULL DEFAULT 0, -- 1 once some task waits on this one
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER
);

-- Each unfinished task stands in one or two of these; finished ones in none,
-- so that millions of them cost the scheduler nothing.
CREATE INDEX sched_task_queued ON sched_task (queue, priority DESC, seq) WHERE state = 'queued';
CREATE INDEX sched_task_running ON sched_task (queue, worker) WHERE state = 'running';
CREATE INDEX sched_task_due ON sched_task (wake_at) WHERE state = 'waiting' AND wake_at IS NOT NULL;
CREATE INDEX sched_task_wait ON sched_task (wait_on) WHERE state = 'waiting' AND wait_on IS NOT NULL;
CREATE INDEX sched_task_parent ON sched_task (parent) WHERE parent IS NOT NULL;

CREATE TABLE sched_queue (
    name TEXT NOT NULL PRIMARY KEY,
    concurrency INTEGER NOT NULL, -- tasks running at once in all; 0 for no limit
    worker_concurrency INTEGER NOT NULL -- tasks running at once on a worker; 0 for no limit
);

-- The processes that execute tasks. lease_until is NULL while the worker owns
-- its database alone, which is lease enough.
CREATE TABLE sched_worker (
    id TEXT NOT NULL PRIMARY KEY,
    started_at INTEGER NOT NULL,
    lease_until INTEGER
);
