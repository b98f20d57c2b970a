-- name: task_insert
INSERT INTO sched_task (id, name, queue, state, priority, codec, input, parent, principal, version,
    worker, epoch, attempt, created_at, started_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (id) DO NOTHING

-- name: task_get
SELECT id, name, queue, state, priority, codec, input, output, error, parent, principal, version, worker,
    epoch, attempt, recoveries, wake_at, wait_on, created_at, started_at, finished_at
FROM sched_task WHERE id = $1

-- name: task_list
-- $1 states (JSON array or NULL), $2 name, $3 queue, $4 parent, $5 since, $6 limit
SELECT id, name, queue, state, priority, codec, input, output, error, parent, principal, version, worker,
    epoch, attempt, recoveries, wake_at, wait_on, created_at, started_at, finished_at
FROM sched_task
WHERE ($1 IS NULL OR state IN (SELECT value FROM json_each($1)))
    AND ($2 = '' OR name = $2) AND ($3 = '' OR queue = $3) AND ($4 = '' OR parent = $4) AND created_at >= $5
ORDER BY seq DESC LIMIT $6

-- name: task_list_live
SELECT id, name, queue, state, priority, codec, input, output, error, parent, principal, version, worker,
    epoch, attempt, recoveries, wake_at, wait_on, created_at, started_at, finished_at
FROM sched_task
WHERE seq IN (
    SELECT seq FROM sched_task WHERE state = 'queued'
    UNION ALL SELECT seq FROM sched_task WHERE state = 'running'
    UNION ALL SELECT seq FROM sched_task WHERE state = 'waiting' AND wake_at IS NOT NULL
    UNION ALL SELECT seq FROM sched_task WHERE state = 'waiting' AND wake_at IS NULL AND wait_on IS NOT NULL)
    AND ($1 IS NULL OR state IN (SELECT value FROM json_each($1)))
    AND ($2 = '' OR name = $2) AND ($3 = '' OR queue = $3) AND ($4 = '' OR parent = $4) AND created_at >= $5
ORDER BY seq DESC LIMIT $6

-- name: task_count
SELECT 'queued', count(*) FROM sched_task WHERE state = 'queued'
UNION ALL SELECT 'running', count(*) FROM sched_task WHERE state = 'running'
UNION ALL SELECT 'waiting', (SELECT count(*) FROM sched_task WHERE state = 'waiting' AND wake_at IS NOT NULL)
    + (SELECT count(*) FROM sched_task WHERE state = 'waiting' AND wait_on IS NOT NULL AND wake_at IS NULL)

-- name: task_claim
-- $1 queue, $2 names (JSON array), $3 limit, $4 worker, $5 now
UPDATE sched_task SET state = 'running', worker = $4, epoch = epoch + 1, attempt = attempt + 1,
    started_at = coalesce(started_at, $5)
WHERE seq IN (
    SELECT seq FROM sched_task WHERE state = 'queued' AND queue = $1
        AND name IN (SELECT value FROM json_each($2))
    ORDER BY priority DESC, seq LIMIT $3)
RETURNING seq, priority, id, name, queue, codec, input, parent, principal, version, epoch, attempt, recoveries

-- name: task_running
SELECT count(*), count(*) FILTER (WHERE worker = $2) FROM sched_task WHERE state = 'running' AND queue = $1

-- name: task_ready
SELECT 1 FROM sched_task WHERE state = 'queued' LIMIT 1

-- name: task_next_due
SELECT min(wake_at) FROM sched_task WHERE state = 'waiting' AND wake_at IS NOT NULL

-- name: task_due
-- $1 now, $2 limit
UPDATE sched_task SET state = 'queued', wake_at = NULL, wait_on = NULL
WHERE seq IN (
    SELECT seq FROM sched_task WHERE state = 'waiting' AND wake_at IS NOT NULL AND wake_at <= $1
    ORDER BY wake_at LIMIT $2)

-- name: task_finish
UPDATE sched_task SET state = $3, output = $4, error = $5, finished_at = $6, worker = NULL
WHERE id = $1 AND epoch = $2 AND state = 'running' AND awaited = $7

-- name: task_park
UPDATE sched_task SET state = 'waiting', wake_at = $3, wait_on = $4, worker = NULL
WHERE id = $1 AND epoch = $2 AND state = 'running'

-- name: task_await
UPDATE sched_task SET awaited = 1 WHERE id = $1 AND awaited = 0

-- name: task_awaited
SELECT awaited FROM sched_task WHERE id = $1

-- name: task_wake
UPDATE sched_task SET state = 'queued', wake_at = NULL, wait_on = NULL
WHERE state = 'waiting' AND wait_on IS NOT NULL AND wait_on = $1

-- name: task_cancel
-- The task and, recursively, the unfinished tasks that it started.
WITH RECURSIVE tree (id) AS (
    SELECT $1
    UNION
    SELECT c.id FROM sched_task AS c JOIN tree AS p ON c.parent = p.id)
UPDATE sched_task SET state = 'cancelled', error = $2, finished_at = $3, worker = NULL, wake_at = NULL, wait_on = NULL
WHERE id IN (SELECT id FROM tree) AND state IN ('queued', 'running', 'waiting')
RETURNING id, awaited

-- name: task_resume
UPDATE sched_task SET state = 'queued', error = NULL, finished_at = NULL, recoveries = 0
WHERE id = $1 AND state IN ('failed', 'cancelled')

-- name: task_release
-- A worker that ends in good order gives its tasks back.
UPDATE sched_task SET state = 'queued', worker = NULL WHERE state = 'running' AND worker = $1

-- name: task_recover
-- $1 the living worker, $2 limit
UPDATE sched_task SET state = 'queued', worker = NULL, recoveries = recoveries + 1
WHERE seq IN (SELECT seq FROM sched_task WHERE state = 'running' AND worker <> $1 LIMIT $2)

-- name: task_poisoned
-- Tasks that took their worker down too often. $1 limit, $2 error, $3 now
UPDATE sched_task SET state = 'failed', error = $2, finished_at = $3
WHERE seq IN (SELECT seq FROM sched_task WHERE state = 'queued' AND recoveries > $1)
RETURNING id, awaited

-- name: queue_put
INSERT INTO sched_queue (name, concurrency, worker_concurrency) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET concurrency = excluded.concurrency, worker_concurrency = excluded.worker_concurrency
WHERE concurrency <> excluded.concurrency OR worker_concurrency <> excluded.worker_concurrency

-- name: queue_list
SELECT name, concurrency, worker_concurrency FROM sched_queue ORDER BY name

-- name: queue_get
SELECT 1 FROM sched_queue WHERE name = $1

-- name: worker_insert
INSERT INTO sched_worker (id, started_at) VALUES ($1, $2)

-- name: worker_delete
DELETE FROM sched_worker WHERE id = $1

-- name: worker_expire
DELETE FROM sched_worker WHERE id <> $1 AND (lease_until IS NULL OR lease_until < $2)
