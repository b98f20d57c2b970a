package dbmstest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// examineInterrupt: when the caller's context ends, a long statement ends
// soon, and the caller learns why.
func examineInterrupt(t *testing.T, e Engine) {
	d := open(t, e, dbms.Options{Durability: dbms.Async, Timeout: 2 * patience})
	createBoth(d)
	update := func(ctx context.Context, fn func(dbms.Tx) error) error {
		_, err := d.Update(ctx, examiner, fn)
		return err
	}
	for _, c := range []struct {
		name string
		call func(context.Context, func(dbms.Tx) error) error
		sql  string
	}{
		{"view", d.View, endless},
		{"update", update, endless},
		{"update that writes", update, "INSERT INTO parts (id, half) VALUES (1, (" + endless + "))"},
	} {
		t.Run(c.name, func(t *testing.T) { examineInterrupted(t, d, c.call, c.sql) })
	}
	t.Run("waiting its turn", func(t *testing.T) { examineCancelWaiting(t, d) })
	t.Run("swallowing the error", func(t *testing.T) { examineSwallowed(t, d) })
}

func examineInterrupted(t *testing.T, d *database, call func(context.Context, func(dbms.Tx) error) error, sql string) {
	d = &database{DB: d.DB, t: t}
	for _, end := range []struct {
		kind  abi.Kind
		cause error
	}{{abi.Canceled, errCaller}, {abi.Timeout, context.DeadlineExceeded}} {
		ctx, cancel := context.WithCancelCause(t.Context())
		if end.kind == abi.Timeout {
			var stop context.CancelFunc
			ctx, stop = context.WithTimeout(t.Context(), shortTimeout)
			defer stop()
		}
		var err error
		promptly(t, "the end of "+sql, func() {
			err = call(ctx, func(tx dbms.Tx) error {
				if _, err := integer(tx, "SELECT n FROM total"); err != nil {
					return err
				}
				time.AfterFunc(20*time.Millisecond, func() { cancel(errCaller) })
				return run(sql)(tx)
			})
		})
		cancel(nil)
		wantKind(t, err, end.kind, "an interrupted statement")
		if !errors.Is(err, end.cause) {
			t.Errorf("got %v, want the cause %q in its chain", err, end.cause)
		}
		d.want(0, "SELECT count(*) FROM parts")
		before := d.integer("SELECT n FROM total")
		d.exec("UPDATE total SET n = n + 1")
		d.want(before+1, "SELECT n FROM total")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errCaller)
	err := call(ctx, func(dbms.Tx) error {
		t.Error("the function was called although the context had ended")
		return nil
	})
	wantCancelled(t, outcome{err: err})
}

// examineCancelWaiting: a caller that waits for others stops waiting when its
// context ends.
func examineCancelWaiting(t *testing.T, d *database) {
	inside, leave := make(chan struct{}), make(chan struct{})
	enter := sync.OnceFunc(func() { close(inside) })
	first := make(chan outcome, 1)
	go func() {
		first <- attempt(context.Background(), d, examiner, func(tx dbms.Tx) error {
			if err := run("UPDATE total SET n = n + 1")(tx); err != nil {
				return err
			}
			enter()
			<-leave
			return nil
		})
	}()
	await(t, "the first transaction", inside)
	ctx, cancel := context.WithCancelCause(t.Context())
	second := make(chan outcome, 1)
	go func() {
		second <- attempt(ctx, d, examiner, run("UPDATE total SET n = -1000"))
	}()
	cancel(errCaller)
	select {
	case o := <-second:
		wantCancelled(t, o)
	case <-time.After(patience):
		t.Errorf("the cancelled caller still waits after %v", patience)
	}
	close(leave)
	if o := <-first; !o.ok() {
		t.Errorf("the first transaction: %+v", o)
	}
	if n := d.integer("SELECT n FROM total"); n < 0 {
		t.Error("the cancelled transaction has changed something")
	}
}

// examineSwallowed: a function that goes on after its context has ended, and
// returns nil in spite of the statement that told it, does not commit half of
// its work.
func examineSwallowed(t *testing.T, d *database) {
	d = &database{DB: d.DB, t: t}
	d.exec("DELETE FROM parts")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := d.Update(ctx, examiner, func(tx dbms.Tx) error {
		if err := run("INSERT INTO parts VALUES (1, 0)")(tx); err != nil {
			return err
		}
		time.AfterFunc(20*time.Millisecond, func() { cancel(errCaller) })
		if err := run(endless)(tx); err == nil {
			t.Error("an endless query has ended")
		}
		run("INSERT INTO parts VALUES (1, 1)")(tx)
		return nil
	})
	wantCancelled(t, outcome{err: err})
	d.want(0, "SELECT count(*) FROM parts")
}
