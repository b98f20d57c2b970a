package dbmstest

import (
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// shortTimeout is more than any honest transaction of the examination takes.
const shortTimeout = 300 * time.Millisecond * slowness

// openImpatient opens a database with its tables made and a short time-out.
func openImpatient(t *testing.T, e Engine) *database {
	t.Helper()
	dir := t.TempDir()
	d := reopen(t, e, dir, dbms.Options{Durability: dbms.Async})
	createBoth(d)
	d.close()
	d = reopen(t, e, dir, dbms.Options{Durability: dbms.Async, Timeout: shortTimeout})
	t.Cleanup(func() { promptly(t, "close", d.close) })
	return d
}

// endless is a query that computes for ever.
const endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n WHERE i < 0"

// examineTimeout: a function whose time is up fails, wherever it is stuck, and
// nobody else does.
func examineTimeout(t *testing.T, e Engine) {
	for _, c := range []struct {
		name string
		fn   func(tx dbms.Tx, stuck <-chan struct{}) error
	}{
		{"in its own code", func(_ dbms.Tx, stuck <-chan struct{}) error { <-stuck; return nil }},
		{"in a query", func(tx dbms.Tx, _ <-chan struct{}) error { return run(endless)(tx) }},
		{"in a write", func(tx dbms.Tx, _ <-chan struct{}) error {
			return run("INSERT INTO parts (id, half) VALUES (7, (" + endless + "))")(tx)
		}},
		{"swallowing the error", func(tx dbms.Tx, _ <-chan struct{}) error {
			if err := run(endless)(tx); err == nil {
				t.Error("an endless query has ended")
			}
			return nil
		}},
		{"between rows", readForEver},
	} {
		t.Run(c.name, func(t *testing.T) { examineStuck(t, e, c.fn) })
	}
	t.Run("late function", func(t *testing.T) { examineLate(t, e) })
	t.Run("nested update", func(t *testing.T) { examineNested(t, e) })
}

func readForEver(tx dbms.Tx, _ <-chan struct{}) error {
	q := dbms.SQL("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")
	return each(tx, q, func(dbms.Rows) error { return nil })
}

func examineStuck(t *testing.T, e Engine, fn func(dbms.Tx, <-chan struct{}) error) {
	d := openImpatient(t, e)
	stuck := make(chan struct{})
	defer close(stuck)
	var o outcome
	promptly(t, "the stuck transaction", func() {
		o = attempt(t.Context(), d, examiner, func(tx dbms.Tx) error {
			if err := bothHalves(1)(tx); err != nil {
				return err
			}
			return fn(tx, stuck)
		})
	})
	wantKind(t, o.err, abi.Timeout, "a function whose time is up")
	d.want(0, "SELECT count(*) FROM parts")
	d.update(bothHalves(2))
	d.want(2, "SELECT count(*) FROM parts")
	d.want(1, "SELECT n FROM total")
}

// examineLate: a function that comes back after its time can do nothing more.
func examineLate(t *testing.T, e Engine) {
	d := openImpatient(t, e)
	watcher := d.Watch("late")
	defer watcher.Close()
	stuck, back := make(chan struct{}), make(chan struct{})
	o := attempt(t.Context(), d, examiner, func(tx dbms.Tx) error {
		rows, err := tx.Query(dbms.SQL("SELECT n FROM total"))
		if err != nil {
			return err
		}
		defer close(back)
		<-stuck
		if err := run("UPDATE total SET n = 77")(tx); err == nil {
			t.Error("Exec after the transaction's end returned nil")
		}
		if _, err := tx.Query(dbms.SQL("SELECT n FROM total")); err == nil {
			t.Error("Query after the transaction's end returned nil")
		}
		if rows.Next() || rows.Err() == nil {
			t.Error("rows opened before the transaction's end go on after it")
		}
		rows.Close()
		tx.Notify("late")
		return nil
	})
	wantKind(t, o.err, abi.Timeout, "a function that never returns")
	d.update(bothHalves(1))
	close(stuck)
	await(t, "the late function", back)
	d.update(bothHalves(2))
	d.want(2, "SELECT n FROM total")
	select {
	case <-watcher.C():
		t.Error("a notification of the late function was delivered")
	default:
	}
}

// examineNested: a function that breaks the rule and calls Update waits for
// itself; it must not take the database with it.
func examineNested(t *testing.T, e Engine) {
	d := openImpatient(t, e)
	inner := make(chan error, 1)
	var o outcome
	promptly(t, "the nested update", func() {
		o = attempt(t.Context(), d, examiner, func(tx dbms.Tx) error {
			if err := bothHalves(1)(tx); err != nil {
				return err
			}
			_, err := d.Update(t.Context(), examiner, bothHalves(2))
			inner <- err
			return err
		})
	})
	want := int64(0)
	if o.ok() {
		want++
	}
	select {
	case err := <-inner:
		if err == nil {
			want++
		}
	case <-time.After(patience):
		t.Fatal("the inner update never returned")
	}
	d.want(want, "SELECT n FROM total")
	d.update(bothHalves(3))
}
