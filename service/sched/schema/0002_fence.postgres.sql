-- What a restore leaves behind, at most one row: no epoch up to ground is given
-- again. Whoever held a task before the restore holds such an epoch.
CREATE TABLE sched_fence (
    id bigint NOT NULL PRIMARY KEY, -- 1
    ground bigint NOT NULL
);
