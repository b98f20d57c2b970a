-- name: task_insert
INSERT INTO sched_task (id, name, queue, state, priority, codec, input, parent, principal, version,
    worker, epoch, attempt, created_at, started_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
ON CONFLICT (id) DO NOTHING

-- name: task_insert engine: postgres
-- The same; but the worker must hold its lease, by the server's clock: a worker
-- that is declared dead can make no task its own. And a running task's epoch is
-- above the ground, which the embedded engine's only process knows. Returns it.
INSERT INTO sched_task (id, name, queue, state, priority, codec, input, parent, principal, version,
    worker, epoch, attempt, created_at, started_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::bigint + CASE WHEN $12::bigint > 0 THEN coalesce((SELECT ground FROM sched_fence), 0) ELSE 0 END, $13, $14, $15
WHERE $11::text IS NULL OR EXISTS (SELECT 1 FROM sched_worker
    WHERE id = $11 AND lease_until > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
ON CONFLICT (id) DO NOTHING RETURNING epoch

-- name: task_submit engine: postgres
-- $1 id, $2 name, $3 queue, $4 priority, $5 codec, $6 input, $7 parent, $8 principal, $9 version,
-- $10 worker or NULL, $11 now. Returns running, queued, exists, or no queue, and the epoch.
--
-- READ COMMITTED is enough: the unique key decides who is first, queues are
-- never removed, and a lease that ends while this runs is found by whoever
-- declares the worker dead, because dead workers' rows are kept for longer than
-- any statement runs.
--
-- What is looked up among the calls themselves is looked up by IN (SELECT …) in
-- an expression, which is a hash table whatever the planner is told; as a join it
-- would be one loop in another.
WITH c AS (
    SELECT c.*, min(c.n) OVER (PARTITION BY c.id) = c.n AS first, w.id AS holder, -- of calls with the same ID the first counts
        c.queue = '' OR c.queue IN (SELECT q.name FROM sched_queue AS q) AS known
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::bigint[]) WITH ORDINALITY
        AS c (id, name, queue, priority, codec, input, parent, principal, version, worker, now, n)
    LEFT JOIN sched_worker AS w
        ON w.id = c.worker AND w.lease_until > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint),
added AS (
    INSERT INTO sched_task (id, name, queue, state, priority, codec, input, parent, principal, version,
        worker, epoch, attempt, created_at, started_at)
    SELECT id, name, queue, CASE WHEN holder IS NULL THEN 'queued' ELSE 'running' END, priority, codec, input, parent,
        principal, version, holder,
        CASE WHEN holder IS NOT NULL THEN 1 + coalesce((SELECT ground FROM sched_fence), 0) ELSE 0 END, (holder IS NOT NULL)::int, now, CASE WHEN holder IS NOT NULL THEN now END
    FROM c WHERE known AND first ORDER BY n
    ON CONFLICT (id) DO NOTHING RETURNING id)
SELECT c.n, CASE WHEN NOT c.known THEN 'no queue' WHEN NOT (c.first AND c.id IN (SELECT a.id FROM added AS a)) THEN 'exists'
    WHEN c.holder IS NULL THEN 'queued' ELSE 'running' END,
    1 + coalesce((SELECT ground FROM sched_fence), 0)
FROM c

-- name: task_submit_many engine: postgres
-- $1 JSON array of id and input, $2 name, $3 queue, $4 priority, $5 codec, $6 parent, $7 principal, $8 version, $9 now.
--
-- READ COMMITTED is enough: the unique key decides, and queues are never removed.
INSERT INTO sched_task (id, name, queue, state, priority, codec, input, parent, principal, version, epoch, attempt, created_at)
SELECT r.id, $2, $3, 'queued', $4, $5, r.input, $6, $7, $8, 0, 0, $9
FROM json_to_recordset($1::json) AS r (id text, input text)
ON CONFLICT (id) DO NOTHING

-- name: task_get
SELECT id, name, queue, state, priority, codec, input, output, error, parent, principal, version, worker,
    epoch, attempt, recoveries, wake_at, wait_on, created_at, started_at, finished_at, NULL AS held
FROM sched_task WHERE id = $1

-- name: task_get engine: postgres
-- held: whether the worker's lease lasts.
SELECT id, name, queue, state, priority, codec, input, output, error, parent, principal, version, worker,
    epoch, attempt, recoveries, wake_at, wait_on, created_at, started_at, finished_at,
    CASE WHEN state = 'running' THEN (SELECT count(*) FROM sched_worker AS w
        WHERE w.id = worker AND w.lease_until > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) END AS held
FROM sched_task WHERE id = $1

-- name: task_lock engine: postgres
-- Locks a task for the rest of the transaction, so that neither its state nor
-- what it publishes changes before that.
SELECT state FROM sched_task WHERE id = $1 FOR UPDATE

-- name: task_list
-- $1 states (JSON array or NULL), $2 name, $3 queue, $4 parent, $5 since, $6 limit
SELECT id, name, queue, state, priority, codec, input, output, error, parent, principal, version, worker,
    epoch, attempt, recoveries, wake_at, wait_on, created_at, started_at, finished_at, NULL AS held
FROM sched_task
WHERE ($1 IS NULL OR state IN (SELECT value FROM json_each($1)))
    AND ($2 = '' OR name = $2) AND ($3 = '' OR queue = $3) AND ($4 = '' OR parent = $4) AND created_at >= $5
ORDER BY seq DESC LIMIT $6

-- name: task_list engine: postgres
-- Running tasks stand in no index by seq: see the schema.
SELECT id, name, queue, state, priority, codec, input, output, error, parent, principal, version, worker,
    epoch, attempt, recoveries, wake_at, wait_on, created_at, started_at, finished_at,
    CASE WHEN state = 'running' THEN (SELECT count(*) FROM sched_worker AS w
        WHERE w.id = worker AND w.lease_until > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) END AS held
FROM (
    (SELECT * FROM sched_task
    WHERE state <> 'running' AND ($1::text IS NULL OR state = ANY (ARRAY(SELECT jsonb_array_elements_text($1::jsonb))))
        AND ($2::text = '' OR name = $2) AND ($3::text = '' OR queue = $3) AND ($4::text = '' OR parent = $4) AND created_at >= $5
    ORDER BY seq DESC LIMIT $6::bigint)
    UNION ALL
    (SELECT * FROM sched_task
    WHERE state = 'running' AND ($1::text IS NULL OR state = ANY (ARRAY(SELECT jsonb_array_elements_text($1::jsonb))))
        AND ($2::text = '' OR name = $2) AND ($3::text = '' OR queue = $3) AND ($4::text = '' OR parent = $4) AND created_at >= $5
    ORDER BY seq DESC LIMIT $6::bigint)) AS t
ORDER BY seq DESC LIMIT $6::bigint

-- name: task_list_live
SELECT id, name, queue, state, priority, codec, input, output, error, parent, principal, version, worker,
    epoch, attempt, recoveries, wake_at, wait_on, created_at, started_at, finished_at, NULL AS held
FROM sched_task
WHERE seq IN (
    SELECT seq FROM sched_task WHERE state = 'queued'
    UNION ALL SELECT seq FROM sched_task WHERE state = 'running'
    UNION ALL SELECT seq FROM sched_task WHERE state = 'waiting' AND wake_at IS NOT NULL
    UNION ALL SELECT seq FROM sched_task WHERE state = 'waiting' AND wake_at IS NULL AND wait_on IS NOT NULL)
    AND ($1 IS NULL OR state IN (SELECT value FROM json_each($1)))
    AND ($2 = '' OR name = $2) AND ($3 = '' OR queue = $3) AND ($4 = '' OR parent = $4) AND created_at >= $5
ORDER BY seq DESC LIMIT $6

-- name: task_list_live engine: postgres
SELECT id, name, queue, state, priority, codec, input, output, error, parent, principal, version, worker,
    epoch, attempt, recoveries, wake_at, wait_on, created_at, started_at, finished_at,
    CASE WHEN state = 'running' THEN (SELECT count(*) FROM sched_worker AS w
        WHERE w.id = worker AND w.lease_until > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) END AS held
FROM (
    SELECT * FROM sched_task WHERE state = 'queued'
    UNION ALL SELECT * FROM sched_task WHERE state = 'running'
    UNION ALL SELECT * FROM sched_task WHERE state = 'waiting' AND wake_at IS NOT NULL
    UNION ALL SELECT * FROM sched_task WHERE state = 'waiting' AND wake_at IS NULL AND wait_on IS NOT NULL) AS t
WHERE ($1::text IS NULL OR state = ANY (ARRAY(SELECT jsonb_array_elements_text($1::jsonb))))
        AND ($2::text = '' OR name = $2) AND ($3::text = '' OR queue = $3) AND ($4::text = '' OR parent = $4) AND created_at >= $5
ORDER BY seq DESC LIMIT $6::bigint

-- name: task_count
SELECT 'queued', count(*) FROM sched_task WHERE state = 'queued'
UNION ALL SELECT 'running', count(*) FROM sched_task WHERE state = 'running'
UNION ALL SELECT 'waiting', (SELECT count(*) FROM sched_task WHERE state = 'waiting' AND wake_at IS NOT NULL)
    + (SELECT count(*) FROM sched_task WHERE state = 'waiting' AND wait_on IS NOT NULL AND wake_at IS NULL)

-- name: task_claim
-- $1 queue, $2 names (JSON array), $3 limit, $4 worker, $5 now
UPDATE sched_task SET state = 'running', worker = $4, epoch = max(epoch, coalesce((SELECT ground FROM sched_fence), 0)) + 1, attempt = attempt + 1,
    started_at = coalesce(started_at, $5)
WHERE seq IN (
    SELECT seq FROM sched_task WHERE state = 'queued' AND queue = $1
        AND name IN (SELECT value FROM json_each($2))
    ORDER BY priority DESC, seq LIMIT $3)
RETURNING seq, priority, id, name, queue, codec, input, parent, principal, version, epoch, attempt, recoveries

-- name: task_claim engine: postgres
-- $1 ranges of the index (JSON: queue, from rank and seq, up to rank and seq), $2 names (JSON array), $3 limit,
-- $4 worker, $5 now. A rank is a negated priority. See claims.go for why there are ranges.
--
-- READ COMMITTED is enough: the rows are locked before they are changed, and
-- what others have locked is skipped. Each queue is a lateral query with a LIMIT
-- of its own, so that no more rows are locked than are taken.
--
-- Needs PostgreSQL itself: ctid, a row's place, finds the locked rows again for
-- two thirds of what a second look into the primary key costs. A row that moved since this
-- statement began is not found, and claimed the next time. Elsewhere: take id in place of ctid.
WITH r AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS r (n int, queue text, rank1 bigint, seq1 bigint, rank2 bigint, seq2 bigint)
    WHERE EXISTS (SELECT 1 FROM sched_worker WHERE id = $4 AND lease_until > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
    ORDER BY n),
picked AS MATERIALIZED (
    SELECT t.place FROM r CROSS JOIN LATERAL (
        SELECT ctid AS place FROM sched_task
        WHERE state = 'queued' AND queue = r.queue
            AND (-priority, seq) > (r.rank1, r.seq1) AND (-priority, seq) < (r.rank2, r.seq2)
            AND name = ANY (ARRAY(SELECT jsonb_array_elements_text($2::jsonb)))
        ORDER BY -priority, seq LIMIT $3::bigint FOR UPDATE SKIP LOCKED) AS t
    LIMIT $3::bigint)
UPDATE sched_task AS t SET state = 'running', worker = $4,
    epoch = greatest(t.epoch, coalesce((SELECT ground FROM sched_fence), 0)) + 1, attempt = t.attempt + 1,
    started_at = coalesce(t.started_at, $5)
FROM picked AS p WHERE t.ctid = p.place
RETURNING t.seq, t.priority, t.id, t.name, t.queue, t.codec, t.input, t.parent, t.principal, t.version, t.epoch, t.attempt, t.recoveries

-- name: queue_lock engine: postgres
-- Who claims from a queue with limits locks it first: so the counting and the
-- claiming of one worker come after those of another.
SELECT concurrency, worker_concurrency FROM sched_queue WHERE name = $1 FOR UPDATE

-- name: task_running
SELECT count(*), count(*) FILTER (WHERE worker = $2) FROM sched_task WHERE state = 'running' AND queue = $1

-- name: task_strays engine: postgres
-- What a worker holds.
SELECT id, epoch FROM sched_task WHERE state = 'running' AND worker = $1

-- name: task_yield engine: postgres
-- Gives a task back that its worker holds and does not execute.
UPDATE sched_task SET state = 'queued', worker = NULL WHERE id = $1 AND epoch = $2 AND state = 'running'

-- name: task_ready
SELECT 1 FROM sched_task WHERE state = 'queued' LIMIT 1

-- name: task_probe engine: postgres
-- The queues that have a task in the ranges $1 for one of the names $2: see task_claim.
SELECT DISTINCT r.queue FROM jsonb_to_recordset($1::jsonb) AS r (queue text, rank1 bigint, seq1 bigint, rank2 bigint, seq2 bigint)
CROSS JOIN LATERAL (
    SELECT 1 FROM sched_task
    WHERE state = 'queued' AND queue = r.queue
        AND (-priority, seq) > (r.rank1, r.seq1) AND (-priority, seq) < (r.rank2, r.seq2)
        AND name = ANY (ARRAY(SELECT jsonb_array_elements_text($2::jsonb)))
    ORDER BY -priority, seq LIMIT 1) AS t

-- name: task_next_due
SELECT min(wake_at) FROM sched_task WHERE state = 'waiting' AND wake_at IS NOT NULL

-- name: task_due
-- $1 now, $2 limit
UPDATE sched_task SET state = 'queued', wake_at = NULL, wait_on = NULL
WHERE seq IN (
    SELECT seq FROM sched_task WHERE state = 'waiting' AND wake_at IS NOT NULL AND wake_at <= $1
    ORDER BY wake_at LIMIT $2)

-- name: task_due engine: postgres
-- READ COMMITTED is enough: the rows are locked, and what others wake is skipped.
UPDATE sched_task AS t SET state = 'queued', wake_at = NULL, wait_on = NULL
FROM (SELECT id FROM sched_task WHERE state = 'waiting' AND wake_at IS NOT NULL AND wake_at <= $1
    ORDER BY wake_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED) AS d
WHERE t.id = d.id

-- name: task_finish
UPDATE sched_task SET state = $3, output = $4, error = $5, finished_at = $6, worker = NULL
WHERE id = $1 AND epoch = $2 AND state = 'running' AND awaited = $7

-- name: task_finish_many engine: postgres
-- $1 id, $2 epoch, $3 state, $4 output, $5 error, $6 now. Returns a row for what was finished.
--
-- READ COMMITTED is enough: the row is locked and looked at again before it is
-- changed. A task that others wait on is left alone, because a statement does not
-- see who began to wait while it waited for the row: see Finish.
--
-- The state is compared in a form that no partial index has, so that the row is
-- found by its key: by the index of the running ones each call would read all of
-- them, and what they have left behind.
WITH c AS (
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[]) WITH ORDINALITY
        AS c (id, epoch, state, output, error, now, n)),
done AS (
    UPDATE sched_task AS t SET state = c.state, output = c.output, error = c.error, finished_at = c.now, worker = NULL
    FROM c WHERE t.id = c.id AND t.epoch = c.epoch AND t.state || '' = 'running' AND t.awaited = 0
    RETURNING c.n)
SELECT n FROM done

-- name: task_park
UPDATE sched_task SET state = 'waiting', wake_at = $3, wait_on = $4, worker = NULL
WHERE id = $1 AND epoch = $2 AND state = 'running'

-- name: task_await
UPDATE sched_task SET awaited = 1 WHERE id = $1 AND awaited = 0

-- name: task_await engine: postgres
-- Also when the mark is there: the lock keeps the awaited task from finishing,
-- and from publishing, before the one that waits is parked.
UPDATE sched_task SET awaited = 1 WHERE id = $1

-- name: task_awaited
SELECT awaited FROM sched_task WHERE id = $1

-- name: task_awaited engine: postgres
-- Nobody can begin to wait before the transaction has ended.
SELECT awaited FROM sched_task WHERE id = $1 FOR UPDATE

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

-- name: task_cancel engine: postgres
-- The same, with a type for $1.
WITH RECURSIVE tree (id) AS (
    SELECT $1::text COLLATE "C"
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

-- name: task_recover engine: postgres
-- A worker is dead when it was declared so (see worker_beat) or is not known.
UPDATE sched_task AS t SET state = 'queued', worker = NULL, recoveries = t.recoveries + 1
FROM (SELECT id FROM sched_task AS r
    WHERE state = 'running' AND worker <> $1
        AND NOT EXISTS (SELECT 1 FROM sched_worker AS w WHERE w.id = r.worker AND w.lease_until > 0)
    LIMIT $2::bigint FOR UPDATE SKIP LOCKED) AS d
WHERE t.id = d.id

-- name: task_poisoned
-- Tasks that took their worker down too often. $1 limit, $2 error, $3 now
UPDATE sched_task SET state = 'failed', error = $2, finished_at = $3
WHERE seq IN (SELECT seq FROM sched_task WHERE state = 'queued' AND recoveries > $1)
RETURNING id, awaited

-- name: task_poisoned engine: postgres
-- The same, and those that worker_beat has left alone. Each branch is found by
-- its index.
UPDATE sched_task AS t SET state = 'failed', error = $2, finished_at = $3, worker = NULL, recoveries = d.recoveries
FROM (
    SELECT id, recoveries FROM sched_task WHERE state = 'queued' AND recoveries > $1
    UNION ALL
    SELECT id, recoveries + 1 FROM sched_task WHERE state = 'running' AND recoveries >= $1
        AND worker IN (SELECT id FROM sched_worker WHERE lease_until = 0)) AS d
WHERE t.id = d.id AND t.state IN ('queued', 'running')
RETURNING t.id, t.awaited

-- name: queue_put
INSERT INTO sched_queue (name, concurrency, worker_concurrency) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET concurrency = excluded.concurrency, worker_concurrency = excluded.worker_concurrency
WHERE sched_queue.concurrency <> excluded.concurrency OR sched_queue.worker_concurrency <> excluded.worker_concurrency

-- name: queue_list
SELECT name, concurrency, worker_concurrency FROM sched_queue ORDER BY name

-- name: queue_get
SELECT 1 FROM sched_queue WHERE name = $1

-- name: worker_insert
INSERT INTO sched_worker (id, started_at) VALUES ($1, $2)

-- name: worker_insert engine: postgres
-- $3 is the lease's length. The server's clock counts.
INSERT INTO sched_worker (id, started_at, lease_until, steady_since)
SELECT $1, $2, now + $3::bigint, now
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now) AS t

-- name: worker_beat engine: postgres
-- A heartbeat of worker $1: extends its lease by $2; declares the workers dead whose leases have ended; queues their
-- tasks again, unless they saw $5 deaths already, and the tasks that are due at $3; each at most $4 times.
--
-- READ COMMITTED is enough: each row is locked and looked at again before it is changed, so that a worker
-- either extends its lease or is declared dead, and what others recover or wake is skipped. A late worker whose row is
-- locked is returned, to be expelled. What becomes visible
-- only after this statement began is found by the next heartbeat.
WITH t AS MATERIALIZED (
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now),
beat AS (
    UPDATE sched_worker AS w SET lease_until = t.now + $2::bigint,
        steady_since = CASE WHEN w.lease_until > t.now THEN w.steady_since ELSE t.now END
    FROM t WHERE w.id = $1 AND w.lease_until > 0
    RETURNING w.steady_since),
late AS MATERIALIZED (
    SELECT w.id FROM sched_worker AS w, t, beat
    WHERE w.id <> $1 AND w.lease_until > 0 AND w.lease_until < t.now AND beat.steady_since <= t.now - $2::bigint),
free AS MATERIALIZED ( -- a worker that was stopped in its own heartbeat holds its row
    SELECT w.id FROM sched_worker AS w, t WHERE w.id = ANY (ARRAY(SELECT id FROM late)) AND w.lease_until > 0 AND w.lease_until < t.now
    FOR UPDATE OF w SKIP LOCKED),
buried AS (
    UPDATE sched_worker AS w SET lease_until = 0, steady_since = t.now
    FROM t, free WHERE w.id = free.id RETURNING w.id),
dead AS MATERIALIZED (
    SELECT id FROM buried UNION ALL SELECT id FROM sched_worker WHERE lease_until = 0),
lost AS (
    UPDATE sched_task AS r SET state = 'queued', worker = NULL, recoveries = r.recoveries + 1
    FROM (SELECT id FROM sched_task WHERE state = 'running' AND worker = ANY (ARRAY(SELECT id FROM dead)) AND recoveries < $5::bigint
            AND EXISTS (SELECT 1 FROM dead)
        LIMIT $4::bigint FOR UPDATE SKIP LOCKED) AS d
    WHERE r.id = d.id RETURNING 1),
due AS (
    UPDATE sched_task AS r SET state = 'queued', wake_at = NULL, wait_on = NULL
    FROM (SELECT id FROM sched_task WHERE state = 'waiting' AND wake_at IS NOT NULL AND wake_at <= $3
        ORDER BY wake_at LIMIT $4::bigint FOR UPDATE SKIP LOCKED) AS d
    WHERE r.id = d.id RETURNING 1)
SELECT (SELECT count(*) FROM beat), (SELECT coalesce(json_agg(id), '[]') FROM buried)::text,
    (SELECT coalesce(json_agg(id), '[]') FROM late WHERE id NOT IN (SELECT id FROM buried))::text, (SELECT count(*) FROM lost), (SELECT count(*) FROM due),
    (SELECT min(wake_at) FROM sched_task WHERE state = 'waiting' AND wake_at IS NOT NULL AND wake_at > $3),
    (SELECT count(*) FROM sched_task WHERE state = 'running' AND recoveries >= $5::bigint
        AND worker = ANY (ARRAY(SELECT id FROM dead)) AND EXISTS (SELECT 1 FROM dead)),
    (SELECT last_value FROM sched_task_seq_seq)

-- name: worker_purge engine: postgres
-- Dead workers are forgotten after $1: longer than any statement runs that was sent in a dead worker's name.
DELETE FROM sched_worker WHERE lease_until = 0
    AND steady_since < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - $1::bigint

-- name: worker_list
SELECT w.id, w.started_at, 1, (SELECT count(*) FROM sched_task WHERE state = 'running' AND worker = w.id)
FROM sched_worker AS w ORDER BY w.started_at, w.id

-- name: worker_list engine: postgres
SELECT w.id, w.started_at, w.lease_until > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    (SELECT count(*) FROM sched_task WHERE state = 'running' AND worker = w.id)
FROM sched_worker AS w ORDER BY w.started_at, w.id

-- name: worker_delete
DELETE FROM sched_worker WHERE id = $1

-- name: worker_expire
DELETE FROM sched_worker WHERE id <> $1 AND (lease_until IS NULL OR lease_until < $2)

-- name: fence_raise
INSERT INTO sched_fence (id, ground) SELECT 1, coalesce(max(epoch), 0) FROM sched_task WHERE true
ON CONFLICT (id) DO UPDATE SET ground = excluded.ground WHERE excluded.ground > sched_fence.ground

-- name: fence_ground
SELECT ground FROM sched_fence

-- name: fence_requeue
UPDATE sched_task SET state = 'queued', worker = NULL WHERE state = 'running'
