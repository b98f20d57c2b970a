package postgres

import (
	"context"
	"time"

	"github.com/dbos-go/dbos/dbms"
)

// A transaction takes its ticket, which is its LSN, as its last act, while it
// holds an advisory lock in shared mode, and keeps the lock to the end of its
// commit. So tickets do not wait for one another, and agree with every order
// in which transactions saw or overwrote one another. Whoever holds the same
// lock exclusively knows that no ticket is under way: everything up to the
// last one is either visible or gone. That is a barrier.

// lockTickets is a barrier's first statement; it takes the lock to the end of
// the transaction.
const (
	lockTickets = "SELECT pg_advisory_xact_lock($1)"
	lastTicket  = `SELECT coalesce((SELECT max(lsn) FROM dbos_transaction), (SELECT value FROM dbos_meta WHERE key = 'oldest'), 0)`
)

// holdBarrier runs fn, once, while no ticket is under way, with the LSN of the
// last commit. If it returns an error, the barrier may have ended before fn.
func (db *DB) holdBarrier(ctx context.Context, fn func(dbms.LSN) error) error {
	return db.transactOnce(ctx, func(tx connSQL) error {
		tx.block()
		if _, err := tx.query(ctx, lockTickets, db.ticketLock); err != nil {
			return err
		}
		rows, err := tx.query(ctx, lastTicket)
		if err != nil {
			return err
		}
		lsn := dbms.LSN(rows[0][0].(int64))
		db.advance(lsn)
		// All commits wait now. Should this process be stopped here, the
		// server ends the session, which it sees as idle only after a Sync.
		if err := tx.rest(); err != nil {
			return err
		}
		return fn(lsn)
	})
}

// barrier returns an LSN up to which everything has ended.
func (db *DB) barrier(ctx context.Context) (dbms.LSN, error) {
	var last dbms.LSN
	err := db.transact(ctx, func(tx executor) error {
		if _, err := tx.query(ctx, lockTickets, db.ticketLock); err != nil {
			return err
		}
		rows, err := tx.query(ctx, "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM dbos_lsn")
		if err == nil {
			last = dbms.LSN(rows[0][0].(int64))
		}
		return err
	})
	return last, err
}

// anchor takes the run's snapshot under a barrier, so that it is exactly the
// commits up to an LSN.
func (t *tx) anchor(ctx context.Context) error {
	return t.db.holdBarrier(ctx, func(lsn dbms.LSN) error {
		if !t.guard.enter() {
			return stopCause(ctx)
		}
		defer t.guard.leave()
		t.lsn = lsn
		t.conn.queue(takeSnapshot, nil)
		return t.conn.drainNow()
	})
}

const (
	// resolvePatience is how long an outcome is looked for.
	resolvePatience = 30 * time.Second
	resolvePause    = 20 * time.Millisecond
)

// resolve finds out whether the commit with a nonce was done, whose connection
// broke, and returns its LSN, or 0 if it was not and never will be. The
// connection's session on the server is ended first: what it had received and
// not yet done would otherwise come after the answer.
func (db *DB) resolve(caller context.Context, name string, nonce, before int64) (int64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(caller), resolvePatience)
	defer cancel()
	defer context.AfterFunc(caller, func() { time.AfterFunc(afterCaller, cancel) })()
	db.itself.reset()
	var cause error = errBroken
	for {
		lsn, ended, err := db.outcome(ctx, name, nonce, before)
		if err == nil && ended {
			return lsn, nil
		}
		if err != nil {
			cause = err
		}
		select {
		case <-ctx.Done():
			return 0, errUnknown(cause)
		case <-time.After(resolvePause):
		}
	}
}

// outcome asks once.
func (db *DB) outcome(ctx context.Context, name string, nonce, before int64) (lsn int64, ended bool, err error) {
	sql := plainSQL{db}
	rows, err := sql.query(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", name)
	if err != nil || len(rows) > 0 {
		return 0, false, err
	}
	if err := db.awaitOlder(ctx); err != nil {
		return 0, false, err
	}
	rows, err = sql.query(ctx, "SELECT lsn FROM dbos_transaction WHERE nonce = $1 AND lsn > $2", nonce, before)
	if err != nil || len(rows) == 0 {
		return 0, err == nil, err
	}
	// A commit that was found may still be on its way to a synchronous
	// standby. One more commit is acknowledged only after it.
	_, err = sql.query(ctx, "SELECT pg_logical_emit_message(true, 'dbos', '')")
	return rows[0][0].(int64), err == nil, err
}

// awaitOlder waits, behind a pooler, where a session cannot be told from its
// successors, until every transaction that writes now has ended.
func (db *DB) awaitOlder(ctx context.Context) error {
	if !db.settings.pooled {
		return nil
	}
	sql := plainSQL{db}
	rows, err := sql.query(ctx, "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
	for err == nil {
		var now [][]dbms.Value
		now, err = sql.query(ctx, "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
		if err == nil && now[0][0].(int64) >= rows[0][0].(int64) {
			return nil
		}
		select {
		case <-ctx.Done():
			return stopCause(ctx)
		case <-time.After(resolvePause):
		}
	}
	return err
}

// Expel implements dbms.Gatherer.
func (db *DB) Expel(ctx context.Context, node string) error {
	if err := db.enter("dbms.expel"); err != nil {
		return err
	}
	defer db.users.Done()
	_, err := plainSQL{db}.query(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE $1 AND pid <> pg_backend_pid()", nodeTag(node)+".%")
	return serverError("dbms.expel", err)
}
