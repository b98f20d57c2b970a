package dbmstest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// patience is how long anything prompt may take on a slow and busy machine.
const patience = 20 * time.Second * slowness

// endurance is how long hundreds of transactions may take there, on an engine
// behind a network.
const endurance = 3 * time.Minute * slowness

// An outcome is how an Update ended for its caller.
type outcome struct {
	lsn      dbms.LSN
	err      error
	panicked any
	exited   bool // the caller's goroutine ended (runtime.Goexit)
}

// ok reports whether the transaction has committed.
func (o outcome) ok() bool { return o.err == nil && o.panicked == nil && !o.exited }

// attempt runs an Update in a goroutine of its own, so that the test survives
// however it ends.
func attempt(ctx context.Context, db dbms.DB, call abi.Call, fn func(dbms.Tx) error) outcome {
	done := make(chan outcome, 1)
	go func() {
		o := outcome{exited: true}
		defer func() {
			if v := recover(); v != nil {
				o.panicked, o.exited = v, false
			}
			done <- o
		}()
		o.lsn, o.err = db.Update(ctx, call, fn)
		o.exited = false
	}()
	return <-done
}

// promptly fails the test if fn does not return in time.
func promptly(t *testing.T, what string, fn func()) {
	t.Helper()
	await(t, what, started(fn))
}

// finally fails the test if fn, which is much work, does not return.
func finally(t *testing.T, what string, fn func()) {
	t.Helper()
	awaitWithin(t, what, started(fn), endurance)
}

// started runs fn and signals its end.
func started(fn func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	return done
}

// await waits for a signal.
func await[T any](t *testing.T, what string, signal <-chan T) {
	t.Helper()
	awaitWithin(t, what, signal, patience)
}

func awaitWithin[T any](t *testing.T, what string, signal <-chan T, limit time.Duration) {
	t.Helper()
	select {
	case <-signal:
	case <-time.After(limit):
		t.Fatalf("%s: not within %v", what, limit)
	}
}

// wantKind fails the test unless err is an *abi.Error of the kind.
func wantKind(t reporter, err error, kind abi.Kind, what string) {
	t.Helper()
	e, ok := errors.AsType[*abi.Error](err)
	switch {
	case err == nil:
		t.Errorf("%s: no error, want kind %q", what, kind)
	case !ok:
		t.Errorf("%s: the error is a %T, want an *abi.Error: %v", what, err, err)
	case e.Kind != kind:
		t.Errorf("%s: error of kind %q, want %q: %v", what, e.Kind, kind, err)
	}
}
