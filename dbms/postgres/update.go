package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

const (
	// maxConflicts is how often a transaction runs again after conflicts.
	maxConflicts = 100
	// turnAfter conflicts a transaction waits for its turn: those that do
	// run one after the other.
	turnAfter = 4
	// maxBackoff is the longest pause after a conflict.
	maxBackoff = 50 * time.Millisecond
	// connectPatience is how long a call waits for a server that is away.
	connectPatience = 10 * time.Second
	// grace is how long a function may take to return once it was stopped.
	grace = 50 * time.Millisecond
)

// Update implements dbms.DB.
func (db *DB) Update(ctx context.Context, call abi.Call, fn func(dbms.Tx) error) (dbms.LSN, error) {
	return db.update(ctx, call, fn, db.updates)
}

// UpdateReadCommitted implements dbms.Gatherer.
func (db *DB) UpdateReadCommitted(ctx context.Context, call abi.Call, fn func(dbms.Tx) error) (dbms.LSN, error) {
	return db.update(ctx, call, fn, db.committed)
}

func (db *DB) update(ctx context.Context, call abi.Call, fn func(dbms.Tx) error, p *pool) (dbms.LSN, error) {
	return db.updateAs(ctx, call, fn, p, txMode{purpose: p.purpose})
}

func (db *DB) updateAs(ctx context.Context, call abi.Call, fn func(dbms.Tx) error, p *pool, mode txMode) (dbms.LSN, error) {
	if err := call.Check("dbms.update"); err != nil {
		return 0, err
	}
	if err := db.enter("dbms.update"); err != nil {
		return 0, err
	}
	defer db.users.Done()
	if ctx.Err() != nil {
		return 0, stopCause(ctx)
	}
	if call.Node == "" {
		call.Node = db.node
	}
	if call.Start.IsZero() {
		call.Start = time.Now()
	}
	u := &update{db: db, caller: ctx, ctx: ctx, call: call, fn: fn, pool: p, mode: mode}
	for {
		if done := u.attempt(); done {
			return u.result()
		}
	}
}

// An update is one call of Update, which may take several runs.
type update struct {
	db     *DB
	caller context.Context
	ctx    context.Context // the caller's, until the function has returned nil
	call   abi.Call
	fn     func(dbms.Tx) error
	pool   *pool
	mode   txMode

	conflicts int
	finished  bool      // fn has returned nil: the context does not stop it any more
	away      time.Time // since when the server does not answer; zero if it does

	lsn   dbms.LSN
	err   error
	panic *dbms.PanicError
	exit  bool
}

// result is what Update returns.
func (u *update) result() (dbms.LSN, error) {
	switch {
	case u.panic != nil:
		panic(u.panic)
	case u.exit:
		runtime.Goexit()
	}
	return u.lsn, u.err
}

// end is the last word of attempt.
func (u *update) end(err error) bool {
	u.err = err
	return true
}

// attempt makes one run, and reports whether it was the last.
func (u *update) attempt() bool {
	l, err := u.pool.get(u.ctx)
	if err != nil {
		return u.unconnected(err)
	}
	ctx := u.ctx
	if u.mode.exclusive == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(u.ctx, u.db.timeout, errTime(u.db.timeout))
		defer cancel()
	}
	t := u.db.newTx(ctx, l.conn, u.mode)
	t.now = u.db.clock.Micros()
	defer t.guard.stop()
	if err := t.begin(ctx); err != nil {
		l.discard()
		switch {
		case ctx.Err() != nil:
			return u.end(stopCause(ctx))
		case conflicts(err):
			return u.conflicted(err)
		case disconnected(err):
			return u.unconnected(err)
		}
		return u.end(serverError("dbms.update", err))
	}
	o, returned := t.call(ctx, u.fn)
	if !returned {
		t.guard.whenIdle(l.discard)
		return u.end(stopCause(ctx))
	}
	return u.judge(l, t, o)
}

// errTime is the cause of a run that takes too long.
func errTime(limit time.Duration) error {
	return fmt.Errorf("the transaction function ran longer than %v: %w", limit, context.DeadlineExceeded)
}

// An ending is how a run of a function ended.
type ending struct {
	err   error
	panic *dbms.PanicError
	exit  bool
}

// call runs the function in a goroutine of its own, so that a function that
// never returns can be left behind. It reports false if it was.
func (t *tx) call(ctx context.Context, fn func(dbms.Tx) error) (ending, bool) {
	done := make(chan ending, 1)
	go func() {
		o := ending{exit: true}
		defer func() {
			if v := recover(); v != nil {
				o.exit = false
				if _, again := v.(reanchor); !again {
					o.panic = &dbms.PanicError{Value: v, Stack: debug.Stack()}
				}
			}
			done <- o
		}()
		o.err = fn(t)
		o.exit = false
	}()
	select {
	case o := <-done:
		t.end()
		return o, true
	case <-ctx.Done():
	}
	// Time is up, or the caller has gone. In the second case the function
	// still has its time, unless it is inside a statement, which now ends.
	patience := grace
	if deadline, ok := ctx.Deadline(); ok && context.Cause(ctx) != nil && time.Until(deadline) > 0 {
		patience += time.Until(deadline)
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case o := <-done:
		t.end()
		return o, true
	case <-late.C:
		t.end()
		return ending{}, false
	}
}

// judge decides what becomes of a run whose function has returned.
func (u *update) judge(l *lease, t *tx, o ending) bool {
	switch {
	case t.stopped != nil:
		l.discard()
		return u.end(t.stopped)
	case t.lost != nil:
		l.discard()
		return u.unconnected(t.lost)
	case t.conflict != nil:
		t.rollback()
		t.guard.giveBack(l)
		return u.conflicted(t.conflict)
	case t.redo, t.unanchor:
		u.mode.anchored = u.mode.anchored || t.unanchor
		t.rollback()
		t.guard.giveBack(l)
		return false
	case t.failure != nil && (o.err == nil || t.after) && o.panic == nil && !o.exit:
		u.mode.savepoints = true
		t.rollback()
		t.guard.giveBack(l)
		return false
	case o.panic != nil || o.exit || o.err != nil:
		t.rollback()
		t.guard.giveBack(l)
		u.panic, u.exit = o.panic, o.exit
		return u.end(o.err)
	}
	if err := dbms.CheckNote(t.note); err != nil {
		t.rollback()
		t.guard.giveBack(l)
		return u.end(err)
	}
	if !u.finished {
		u.finished, u.ctx = true, context.WithoutCancel(u.ctx)
	}
	return u.commit(l, t)
}

// unconnected waits for a server that is away, within limits.
func (u *update) unconnected(err error) bool {
	if !disconnected(err) || u.ctx.Err() != nil {
		return u.end(serverError("dbms.update", err))
	}
	if u.away.IsZero() {
		u.away = time.Now()
		u.pool.reset()
	}
	if time.Since(u.away) > connectPatience {
		return u.end(serverError("dbms.update", err))
	}
	return u.pause(maxBackoff, err)
}

// conflicted lets the other transaction finish.
func (u *update) conflicted(err error) bool {
	u.conflicts++
	if u.conflicts >= maxConflicts {
		e := abi.Errorf("dbms.update", abi.Conflict, "procedure "+u.call.Procedure, "it met other transactions %d times: %w", u.conflicts, err)
		return u.end(e.WithHint("try again, or let the transactions touch fewer of the same rows"))
	}
	u.mode.turn = u.conflicts >= turnAfter
	return u.pause(min(maxBackoff, time.Millisecond<<min(u.conflicts, 10)), err)
}

// pause waits for up to a time, by chance, so that two who met do not meet
// again. Its result is that of attempt.
func (u *update) pause(most time.Duration, err error) bool {
	timer := time.NewTimer(rand.N(most) + time.Microsecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-u.ctx.Done():
		return u.end(stopCause(u.ctx))
	}
}
