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

-- name: step_list
SELECT seq, kind, name, digest, output, error, attempts, started_at, finished_at
FROM wf_step WHERE execution = $1 AND seq > $2 ORDER BY seq LIMIT $3

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
