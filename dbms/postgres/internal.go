package postgres

import (
	"context"
	"time"

	"github.com/dbos-go/dbos/dbms"
)

// An executor runs the system's own statements.
type executor interface {
	exec(ctx context.Context, sql string, args ...any) error
	query(ctx context.Context, sql string, args ...any) ([][]dbms.Value, error)
}

// plainSQL runs each statement as a transaction of its own, at READ COMMITTED
// and without a record.
type plainSQL struct{ db *DB }

func (p plainSQL) exec(ctx context.Context, sql string, args ...any) error {
	_, err := p.query(ctx, sql, args...)
	return err
}

func (p plainSQL) query(ctx context.Context, sql string, args ...any) ([][]dbms.Value, error) {
	var rows [][]dbms.Value
	err := p.db.transact(ctx, func(tx executor) (err error) {
		rows, err = tx.query(ctx, sql, args...)
		return err
	})
	return rows, err
}

// transactTries is how often a connection may turn out to be dead.
const transactTries = 4

// transact runs fn as one transaction at READ COMMITTED and without a record.
// It may run again when the connection breaks, even in the commit: what it
// does must be the same when it is done twice.
func (db *DB) transact(ctx context.Context, fn func(executor) error) error {
	for try := 1; ; try++ {
		err := db.transactOnce(ctx, func(tx connSQL) error { return fn(tx) })
		if !disconnected(err) || try == transactTries || ctx.Err() != nil {
			return err
		}
		db.itself.reset()
		select {
		case <-ctx.Done():
		case <-time.After(maxBackoff):
		}
	}
}

func (db *DB) transactOnce(ctx context.Context, fn func(connSQL) error) error {
	l, err := db.itself.get(ctx)
	if err != nil {
		return err
	}
	t := db.newTx(ctx, l.conn, txMode{purpose: forItself})
	defer t.guard.stop()
	if !t.guard.enter() {
		l.release()
		return stopCause(ctx)
	}
	if err = t.begin(ctx); err == nil {
		err = fn(connSQL{l.conn})
	}
	switch {
	case err != nil:
		t.rollback()
	case l.inBlock:
		l.queue(commitBlock, nil)
		fallthrough
	default:
		err = l.sync()
	}
	if t.guard.leave() {
		l.discard() // the request to cancel may come late
		if err != nil {
			return stopCause(ctx)
		}
		return nil
	}
	l.release()
	return err
}

// connSQL runs statements in the open transaction of a connection.
type connSQL struct{ c *conn }

// block makes the transaction an explicit one.
func (s connSQL) block() {
	if !s.c.inBlock {
		s.c.queue(beginBlock, nil)
		s.c.inBlock = true
	}
}

// rest ends what was sent with a Sync, which leaves the explicit transaction
// open and, for the server, idle.
func (s connSQL) rest() error { return s.c.sync() }

func (s connSQL) exec(ctx context.Context, sql string, args ...any) error {
	_, err := s.query(ctx, sql, args...)
	return err
}

func (s connSQL) query(_ context.Context, sql string, args ...any) ([][]dbms.Value, error) {
	st, params, err := s.c.prepared(sql, args)
	if err != nil {
		return nil, err
	}
	r, err := s.c.run(st, "", params, 0)
	return r.rows, err
}

// define follows a change of definitions in its transaction.
func (t *tx) define(app bool) error {
	t.actAs(false)
	t.redefine = true
	return t.db.history.definitions(t.guard.ctx, connSQL{t.conn})
}
