-- name: step_insert
-- Writes only while the lease (task $1, epoch $11) holds: this is the fence.
INSERT INTO wf_step (execution, seq, kind, name, digest, output, error, attempts, started_at, finished_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
FROM sched_task WHERE id = $1 AND epoch = $11 AND state = 'running'
ON CONFLICT DO NOTHING

-- name: step_insert engine: sqlite
-- The same; but SQLite builds a temporary table for INSERT … SELECT into a
-- table with triggers, which costs as much again as the insert. Here a lost
-- lease makes seq NULL, which may not be, and is ignored like a conflict.
INSERT OR IGNORE INTO wf_step (execution, seq, kind, name, digest, output, error, attempts, started_at, finished_at)
VALUES ($1, (SELECT $2 FROM sched_task WHERE id = $1 AND epoch = $11 AND state = 'running'),
    $3, $4, $5, $6, $7, $8, $9, $10)

-- name: step_insert engine: postgres
-- The same; but the task's row is locked (FOR SHARE) for the rest of the
-- transaction. No level of isolation would do instead: a SERIALIZABLE transaction
-- does not see the conflict with one that takes the task over at READ COMMITTED.
INSERT INTO wf_step (execution, seq, kind, name, digest, output, error, attempts, started_at, finished_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
FROM (SELECT 1 FROM sched_task WHERE id = $1 AND epoch = $11 AND state = 'running' FOR SHARE) AS held
ON CONFLICT (execution, seq) DO NOTHING

-- name: step_record engine: postgres
-- $1 execution, $2 seq, $3 kind, $4 name, $5 digest, $6 output, $7 error, $8 attempts, $9 started_at, $10 finished_at,
-- $11 epoch. Returns recorded, fenced, or there.
--
-- READ COMMITTED is enough because of FOR SHARE: who takes the task over must
-- change its row, so he has done that before the lock is granted (then the row is
-- looked at again and does not match) or does it after this has been committed. Without
-- the lock the row that matches could be one that has just been replaced.
--
-- For || '' and IN (SELECT …) see task_finish_many and task_submit of service/sched.
WITH c AS (
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
        $9::bigint[], $10::bigint[], $11::bigint[]) WITH ORDINALITY
        AS c (execution, seq, kind, name, digest, output, error, attempts, started_at, finished_at, epoch, n)),
held AS MATERIALIZED (
    SELECT c.n FROM c CROSS JOIN LATERAL (
        SELECT 1 FROM sched_task AS t WHERE t.id = c.execution AND t.epoch = c.epoch AND t.state || '' = 'running' FOR SHARE) AS t),
recorded AS (
    INSERT INTO wf_step (execution, seq, kind, name, digest, output, error, attempts, started_at, finished_at)
    SELECT execution, seq, kind, name, digest, output, error, attempts, started_at, finished_at
    FROM c WHERE n IN (SELECT n FROM held)
    ON CONFLICT (execution, seq) DO NOTHING RETURNING execution, seq)
SELECT c.n, CASE WHEN c.n NOT IN (SELECT h.n FROM held AS h) THEN 'fenced'
    WHEN (c.execution, c.seq) NOT IN (SELECT r.execution, r.seq FROM recorded AS r) THEN 'there' ELSE 'recorded' END
FROM c

-- name: step_list
SELECT seq, kind, name, digest, output, error, attempts, started_at, finished_at
FROM wf_step WHERE execution = $1 AND seq > $2 ORDER BY seq LIMIT $3

-- name: step_get
-- A step, if the lease (task $1, epoch $3) holds.
SELECT seq, kind, name, digest, output, error, attempts, started_at, finished_at
FROM wf_step WHERE execution = $1 AND seq = $2
    AND EXISTS (SELECT 1 FROM sched_task WHERE id = $1 AND epoch = $3 AND state = 'running')

-- name: step_retract
-- The last step, if it failed.
DELETE FROM wf_step WHERE execution = $1 AND error IS NOT NULL
    AND seq = (SELECT max(seq) FROM wf_step WHERE execution = $1)

-- name: event_put
INSERT INTO wf_event (execution, key, value, set_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (execution, key) DO UPDATE SET value = excluded.value, set_at = excluded.set_at

-- name: event_get
SELECT key, value, set_at FROM wf_event WHERE execution = $1 AND key = $2

-- name: event_list
SELECT key, value, set_at FROM wf_event WHERE execution = $1 ORDER BY key
