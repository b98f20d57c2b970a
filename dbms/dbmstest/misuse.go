package dbmstest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// examineMisuse: a caller's mistake is an error that names it, and harms
// nobody else.
func examineMisuse(t *testing.T, e Engine) {
	d := openAsync(t, e)
	createBoth(d)
	t.Run("names", func(t *testing.T) { examineNames(t, d) })
	t.Run("transaction after its end", func(t *testing.T) { examineEnded(t, d) })
	t.Run("transaction in another goroutine", func(t *testing.T) { examineShared(t, d) })
	t.Run("panic inside a scan", func(t *testing.T) { examineScanPanic(t, d) })
	if e.Directory {
		t.Run("second owner", func(t *testing.T) { examineSecondOwner(t, d, e) })
	}
	d.update(bothHalves(1))
	d.want(1, "SELECT n FROM total")
}

func examineNames(t *testing.T, d *database) {
	long := strings.Repeat("x", abi.MaxName+1)
	before := d.Status().LastLSN
	for what, call := range map[string]abi.Call{
		"no procedure":                      {},
		"overlong procedure":                {Procedure: long},
		"procedure with a control code":     {Procedure: "a\nb"},
		"procedure with a NUL":              {Procedure: "a\x00b"},
		"procedure that is not UTF-8":       {Procedure: "a\xff"},
		"overlong execution":                {Procedure: "a", Execution: long},
		"execution that is not UTF-8":       {Procedure: "a", Execution: "a\xff"},
		"procedure of one character over":   {Procedure: strings.Repeat("ü", abi.MaxName/2+1)},
		"procedure of spaces and a newline": {Procedure: " \n"},
	} {
		o := attempt(t.Context(), d, call, func(dbms.Tx) error {
			t.Errorf("%s: the function was called", what)
			return nil
		})
		wantKind(t, o.err, abi.Invalid, what)
	}
	if last := d.Status().LastLSN; last != before {
		t.Errorf("refused calls have made commit %d", last)
	}
}

// examineEnded: a Tx that outlives its function does nothing.
func examineEnded(t *testing.T, d *database) {
	w := d.Watch("ended")
	defer w.Close()
	var update, view, failed dbms.Tx
	d.update(func(tx dbms.Tx) error { update = tx; return nil })
	d.view(func(tx dbms.Tx) error { view = tx; return nil })
	attempt(t.Context(), d, examiner, func(tx dbms.Tx) error { failed = tx; return errBoom })
	for what, tx := range map[string]dbms.Tx{"update": update, "view": view, "failed update": failed} {
		_, err := tx.Exec(dbms.SQL("UPDATE total SET n = 50"))
		wantKind(t, err, abi.Closed, "Exec after the end of the "+what)
		_, err = tx.Query(dbms.SQL("SELECT n FROM total"))
		wantKind(t, err, abi.Closed, "Query after the end of the "+what)
		tx.Notify("ended")
	}
	d.update(func(dbms.Tx) error { return nil })
	if signalled(w) {
		t.Error("Notify after the transaction's end was delivered")
	}
	d.want(0, "SELECT n FROM total")
}

// examineShared: two goroutines in one transaction may get errors, but no
// other transaction suffers.
func examineShared(t *testing.T, d *database) {
	d.exec("CREATE TABLE shared (v bigint)")
	promptly(t, "the transaction", func() {
		attempt(t.Context(), d, examiner, func(tx dbms.Tx) error {
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for i := range 50 {
						tx.Exec(dbms.SQL("INSERT INTO shared VALUES ($1)"), i)
						integer(tx, "SELECT count(*) FROM shared")
					}
				})
			}
			all.Wait()
			return errBoom
		})
	})
	d.want(0, "SELECT count(*) FROM shared")
}

// examineScanPanic: a panic that starts inside the engine is like any other.
func examineScanPanic(t *testing.T, d *database) {
	o := attempt(t.Context(), d, examiner, func(tx dbms.Tx) error {
		if err := run("UPDATE total SET n = 50")(tx); err != nil {
			return err
		}
		return each(tx, dbms.SQL("SELECT n FROM total"), func(r dbms.Rows) error { return r.Scan((*int64)(nil)) })
	})
	if o.ok() {
		t.Error("a scan into a nil pointer has succeeded")
	}
	d.want(0, "SELECT n FROM total")
}

func examineSecondOwner(t *testing.T, d *database, e Engine) {
	other, err := e.Open(t.Context(), d.dir, dbms.Options{})
	wantKind(t, err, abi.Owned, "opening a directory twice")
	if err == nil {
		other.Close()
	}
	if err != nil && !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("the error %q does not name this process, %d", err, os.Getpid())
	}
}

// examineClose: Close finishes what was accepted and refuses the rest.
func examineClose(t *testing.T, e Engine) {
	t.Run("refuses", func(t *testing.T) { examineClosed(t, e) })
	t.Run("drains", func(t *testing.T) { examineDrain(t, e) })
	t.Run("waits for views", func(t *testing.T) { examineCloseWaits(t, e) })
}

func examineClosed(t *testing.T, e Engine) {
	d := reopen(t, e, t.TempDir(), dbms.Options{Durability: dbms.Async})
	createBoth(d)
	w := d.Watch("parts")
	d.close()
	d.close() // again is nothing
	o := attempt(t.Context(), d, examiner, bothHalves(1))
	wantKind(t, o.err, abi.Closed, "Update of a closed database")
	wantKind(t, d.View(t.Context(), func(dbms.Tx) error { return nil }), abi.Closed, "View of a closed database")
	_, err := d.Changes(t.Context(), 0, 1)
	wantKind(t, err, abi.Closed, "Changes of a closed database")
	_, err = d.Trim(t.Context(), noon)
	wantKind(t, err, abi.Closed, "Trim of a closed database")
	wantKind(t, d.Migrate(t.Context(), steps("o", true, "CREATE TABLE o (v bigint)")), abi.Closed, "Migrate of a closed database")
	if d.Status().Engine != e.Name {
		t.Errorf("Status of a closed database: %+v", d.Status())
	}
	w.Close()
	d.Watch("parts").Close()
}

// examineDrain closes while callers call: each call has either committed or
// is refused, and what has committed is there afterwards.
func examineDrain(t *testing.T, e Engine) {
	dir := t.TempDir()
	d := reopen(t, e, dir, dbms.Options{})
	createBoth(d)
	var all sync.WaitGroup
	var mu sync.Mutex
	var want int64
	begun := make(chan struct{}, 64)
	for caller := range 4 {
		all.Go(func() {
			for i := 0; ; i++ {
				_, err := d.Update(context.Background(), examiner, bothHalves(int64(i*4+caller)))
				if err != nil {
					wantKind(t, err, abi.Closed, "an update while the database closes")
					return
				}
				mu.Lock()
				want++
				mu.Unlock()
				select {
				case begun <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 20 {
		<-begun
	}
	promptly(t, "close", func() {
		var closers sync.WaitGroup
		for range 3 {
			closers.Go(d.close)
		}
		closers.Wait()
	})
	promptly(t, "the callers", all.Wait)
	d = reopen(t, e, dir, dbms.Options{})
	defer d.close()
	d.want(want, "SELECT n FROM total")
	d.want(2*want, "SELECT count(*) FROM parts")
}

// examineCloseWaits: a view under way ends as it should.
func examineCloseWaits(t *testing.T, e Engine) {
	d := reopen(t, e, t.TempDir(), dbms.Options{Durability: dbms.Async})
	createBoth(d)
	inside, leave, closed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	viewed := make(chan error, 1)
	go func() {
		viewed <- d.View(t.Context(), func(tx dbms.Tx) error {
			close(inside)
			<-leave
			_, err := integer(tx, "SELECT n FROM total")
			return err
		})
	}()
	await(t, "the view", inside)
	go func() {
		d.close()
		close(closed)
	}()
	select {
	case <-closed:
		t.Error("Close did not wait for the view")
	default:
	}
	close(leave)
	if err := <-viewed; err != nil {
		t.Errorf("the view under way: %v", err)
	}
	await(t, "close", closed)
}
