package dbmstest

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

var (
	errBoom   = errors.New("the function failed")
	errCaller = errors.New("the caller has gone")
)

// A fault is a way in which a transaction fails after it has done its work.
type fault struct {
	name string
	// spoil returns the context and the function for an Update that does
	// work and then fails.
	spoil func(work func(dbms.Tx) error) (context.Context, func(dbms.Tx) error)
	// check looks at how Update ended.
	check func(t *testing.T, o outcome)
}

// faults are all the ways, without the one that needs time: see late.
var faults = []fault{
	{"error", after(func(dbms.Tx) error { return errBoom }), func(t *testing.T, o outcome) {
		if o.err != errBoom {
			t.Errorf("the function's error became %v, want it as it was", o.err)
		}
	}},
	{"panic", after(func(dbms.Tx) error { panic(errBoom) }), func(t *testing.T, o outcome) {
		if err, _ := o.panicked.(error); !errors.Is(err, errBoom) {
			t.Errorf("Update panicked with %v, want the function's value %v", o.panicked, errBoom)
		}
	}},
	{"exit", after(func(dbms.Tx) error { runtime.Goexit(); return nil }), func(t *testing.T, o outcome) {
		if o.ok() {
			t.Error("Update of a function that called runtime.Goexit returned no error")
		}
	}},
	{"constraint", after(insertTwice), func(t *testing.T, o outcome) {
		wantKind(t, o.err, abi.Exists, "a second row with the same key")
	}},
	{"bad SQL", after(run("SELEKT 1")), func(t *testing.T, o outcome) {
		wantKind(t, o.err, abi.Invalid, "bad SQL")
	}},
	{"cancelled before", cancelledBefore, wantCancelled},
	{"cancelled during", cancelledDuring, wantCancelled},
	{"deadline before", deadlineBefore, func(t *testing.T, o outcome) {
		wantKind(t, o.err, abi.Timeout, "a deadline that has passed")
		if !errors.Is(o.err, context.DeadlineExceeded) {
			t.Errorf("got %v, want context.DeadlineExceeded in its chain", o.err)
		}
	}},
}

// rollback is the fault of a statement that makes the engine roll back more
// than the statement.
func (d Dialect) rollback() []fault {
	if d.Rollback == "" {
		return nil
	}
	fail := func(tx dbms.Tx) error {
		if err := run("INSERT INTO parts (id, half) VALUES (-1, 1)")(tx); err != nil {
			return err
		}
		err := run(d.Rollback + " INTO parts (id, half) VALUES (-1, 1)")(tx)
		if err == nil {
			return nil
		}
		return run("INSERT INTO parts (id, half) VALUES (-2, 1)")(tx) // outside of a transaction?
	}
	return []fault{{"rollback by the engine", after(fail), func(t *testing.T, o outcome) {
		wantKind(t, o.err, abi.KindOf(o.err), "a transaction that the engine has rolled back")
	}}}
}

// after is a fault of the function itself.
func after(fail func(dbms.Tx) error) func(func(dbms.Tx) error) (context.Context, func(dbms.Tx) error) {
	return func(work func(dbms.Tx) error) (context.Context, func(dbms.Tx) error) {
		return context.Background(), func(tx dbms.Tx) error {
			if err := work(tx); err != nil {
				return err
			}
			return fail(tx)
		}
	}
}

func insertTwice(tx dbms.Tx) error {
	if err := run("INSERT INTO parts (id, half) VALUES (-1, 1)")(tx); err != nil {
		return err
	}
	return run("INSERT INTO parts (id, half) VALUES (-1, 1)")(tx)
}

func cancelledBefore(work func(dbms.Tx) error) (context.Context, func(dbms.Tx) error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errCaller)
	return ctx, work
}

func deadlineBefore(work func(dbms.Tx) error) (context.Context, func(dbms.Tx) error) {
	ctx, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	cancel()
	return ctx, work
}

// cancelledDuring cancels between two statements and goes on until a
// statement says so.
func cancelledDuring(work func(dbms.Tx) error) (context.Context, func(dbms.Tx) error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	return ctx, func(tx dbms.Tx) error {
		if err := work(tx); err != nil {
			return err
		}
		cancel(errCaller)
		for {
			if _, err := integer(tx, "SELECT count(*) FROM parts"); err != nil {
				return err
			}
			runtime.Gosched()
		}
	}
}

func wantCancelled(t *testing.T, o outcome) {
	wantKind(t, o.err, abi.Canceled, "a cancelled context")
	if !errors.Is(o.err, errCaller) {
		t.Errorf("got %v, want the context's cause %q in its chain", o.err, errCaller)
	}
}

// Work that a transaction does in two tables, so that half of it would show.
const createParts = `CREATE TABLE parts (id bigint NOT NULL, half bigint NOT NULL, PRIMARY KEY (id, half))`

func bothHalves(id int64) func(dbms.Tx) error {
	return func(tx dbms.Tx) error {
		tx.Notify("parts")
		for half := range 2 {
			if err := run("INSERT INTO parts (id, half) VALUES ($1, $2)", id, half)(tx); err != nil {
				return err
			}
		}
		return run("UPDATE total SET n = n + 1")(tx)
	}
}

func createBoth(d *database) {
	d.exec(createParts)
	d.exec("CREATE TABLE total (n bigint NOT NULL)")
	d.exec("INSERT INTO total VALUES (0)")
}

// examineAtomicity fails a transaction in each way and looks for traces.
func examineAtomicity(t *testing.T, e Engine) {
	d := openAsync(t, e)
	createBoth(d)
	for i, f := range slices.Concat(faults, e.Dialect.rollback()) {
		t.Run(f.name, func(t *testing.T) {
			d := &database{DB: d.DB, t: t}
			before, last := d.integer("SELECT count(*) FROM parts"), d.Status().LastLSN
			ctx, fn := f.spoil(bothHalves(int64(i)))
			var o outcome
			promptly(t, "the failing transaction", func() { o = attempt(ctx, d, examiner, fn) })
			f.check(t, o)
			d.want(before, "SELECT count(*) FROM parts")
			d.want(before/2, "SELECT n FROM total")
			if found := d.changes(last); len(found) != 0 {
				t.Errorf("Changes knows of the failed transaction: %+v", found)
			}
			// The next one finds nothing in its way.
			d.update(bothHalves(int64(i)))
			d.want(before+2, "SELECT count(*) FROM parts")
		})
	}
	t.Run("failed statement, function goes on", func(t *testing.T) { examineStatementFails(t, d) })
	t.Run("cancelled after the function", func(t *testing.T) { examineLateCancel(t, d) })
}

// examineStatementFails: a statement that fails half-way leaves nothing, and
// the transaction may go on without it.
func examineStatementFails(t *testing.T, d *database) {
	d = &database{DB: d.DB, t: t}
	d.exec("DELETE FROM parts")
	d.update(func(tx dbms.Tx) error {
		if err := run("INSERT INTO parts VALUES (1, 0), (2, 0)")(tx); err != nil {
			return err
		}
		// Two of the three rows go in before the third hits (1, 0).
		err := run("INSERT INTO parts VALUES (8, 0), (9, 0), (1, 0)")(tx)
		wantKind(t, err, abi.Exists, "the third row")
		n, err := integer(tx, "SELECT count(*) FROM parts")
		if err == nil && n != 2 {
			t.Errorf("the transaction sees %d rows after the failed statement, want 2", n)
		}
		if err != nil {
			return err
		}
		return run("INSERT INTO parts VALUES (3, 0)")(tx)
	})
	d.want(3, "SELECT count(*) FROM parts")
	d.want(6, "SELECT sum(id) FROM parts")
}

// examineLateCancel: a function that has returned nil commits.
func examineLateCancel(t *testing.T, d *database) {
	d = &database{DB: d.DB, t: t}
	d.exec("DELETE FROM parts")
	for i := range rounds(40) {
		ctx, cancel := context.WithCancel(context.Background())
		_, err := d.Update(ctx, examiner, func(tx dbms.Tx) error {
			if err := run("INSERT INTO parts VALUES ($1, 0)", i)(tx); err != nil {
				return err
			}
			cancel()
			return nil
		})
		if err != nil {
			t.Fatalf("the context was cancelled as the function's last act: %v, want a commit", err)
		}
		d.want(int64(i)+1, "SELECT count(*) FROM parts")
	}
}
