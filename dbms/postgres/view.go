package postgres

import (
	"context"

	"github.com/dbos-go/dbos/dbms"
)

// View implements dbms.DB. Like an update it may run fn again: when a
// statement failed and fn went on, when fn asks for its LSN after a
// statement, and when a concurrent update would make it see what no order of
// the transactions explains.
func (db *DB) View(ctx context.Context, fn func(dbms.Tx) error) error {
	if err := db.enter("dbms.view"); err != nil {
		return err
	}
	defer db.users.Done()
	if ctx.Err() != nil {
		return stopCause(ctx)
	}
	v := &view{update{db: db, caller: ctx, ctx: ctx, pool: db.views, mode: txMode{purpose: db.views.purpose}}, fn}
	for {
		if done := v.attempt(); done {
			return v.err
		}
	}
}

// A view is one call of View, which may take several runs.
type view struct {
	update
	fn func(dbms.Tx) error
}

func (v *view) attempt() (done bool) {
	l, err := v.pool.get(v.ctx)
	if err != nil {
		return v.unconnected(err)
	}
	t := v.db.newTx(v.ctx, l.conn, v.mode)
	t.now = v.db.clock.Micros()
	defer t.guard.stop()
	if err := t.begin(v.ctx); err != nil {
		l.discard()
		switch {
		case v.ctx.Err() != nil:
			return v.end(stopCause(v.ctx))
		case disconnected(err):
			return v.unconnected(err)
		}
		return v.end(serverError("dbms.view", err))
	}
	returned := false
	defer func() {
		if returned {
			return
		}
		// The function panics, exits its goroutine, or wants its LSN.
		t.end()
		t.rollback()
		t.guard.giveBack(l)
		if t.unanchor {
			recover()
			v.mode.anchored = true
			done = false
		}
	}()
	err = v.fn(t)
	returned = true
	t.end()
	return v.judge(l, t, err)
}

// judge decides what becomes of a run.
func (v *view) judge(l *lease, t *tx, err error) bool {
	switch {
	case t.stopped != nil:
		l.discard()
		return v.end(t.stopped)
	case t.lost != nil:
		l.discard()
		return v.unconnected(t.lost)
	}
	t.rollback()
	t.guard.giveBack(l)
	switch {
	case t.conflict != nil:
		return v.conflicted(t.conflict)
	case t.redo, t.unanchor:
		v.mode.anchored = v.mode.anchored || t.unanchor
		return false
	case t.failure != nil && (err == nil || t.after):
		v.mode.savepoints = true
		return false
	}
	return v.end(err)
}
