package dbmstest

import (
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// examineView is about snapshots.
func examineView(t *testing.T, e Engine) {
	d := openAsync(t, e)
	createBoth(d)
	t.Run("stands still", func(t *testing.T) { examineStable(t, d) })
	t.Run("sees what has returned", func(t *testing.T) { examineReadYourWrites(t, d) })
	t.Run("does not wait for writers", func(t *testing.T) { examineNoWait(t, d) })
	t.Run("does not write", func(t *testing.T) { examineReadOnly(t, d) })
	t.Run("ends as its function does", func(t *testing.T) { examineViewEnds(t, d) })
	t.Run("LSN", func(t *testing.T) { examineSnapshotLSN(t, d) })
}

// examineStable: a snapshot is the same all the time, however much is
// committed meanwhile.
func examineStable(t *testing.T, d *database) {
	d.view(func(tx dbms.Tx) error {
		n, err := integer(tx, "SELECT n FROM total")
		lsn, now := tx.LSN(), tx.Now()
		for i := range 10 {
			if err != nil {
				return err
			}
			d.update(bothHalves(1000 + int64(i)))
			again, err := integer(tx, "SELECT n FROM total")
			if err != nil || again != n || tx.LSN() != lsn || !tx.Now().Equal(now) {
				t.Fatalf("the snapshot went from n=%d, LSN %d, %v to n=%d, LSN %d, %v, error %v", n, lsn, now, again, tx.LSN(), tx.Now(), err)
			}
		}
		rows, err := integer(tx, "SELECT count(*) FROM parts WHERE id >= 1000")
		if rows != 0 {
			t.Errorf("the snapshot has %d rows that came after it", rows)
		}
		return err
	})
	d.want(20, "SELECT count(*) FROM parts WHERE id >= 1000")
}

// examineReadYourWrites: what Update has returned is in every later view.
func examineReadYourWrites(t *testing.T, d *database) {
	d.exec("CREATE TABLE own (id bigint PRIMARY KEY NOT NULL, n bigint NOT NULL)")
	var all sync.WaitGroup
	for id := range 6 {
		d.exec("INSERT INTO own VALUES ($1, 0)", id)
		all.Go(func() {
			for i := range rounds(60) {
				lsn, err := d.Update(t.Context(), examiner, run("UPDATE own SET n = n + 1 WHERE id = $1", id))
				if err != nil {
					t.Errorf("update: %v", err)
					return
				}
				err = d.View(t.Context(), func(tx dbms.Tx) error {
					n, err := integer(tx, "SELECT n FROM own WHERE id = $1", id)
					if n != int64(i)+1 || tx.LSN() < lsn {
						t.Errorf("after commit %d of n=%d a view at LSN %d has n=%d", lsn, i+1, tx.LSN(), n)
					}
					return err
				})
				if err != nil {
					t.Errorf("view: %v", err)
				}
			}
		})
	}
	finally(t, "the callers", all.Wait)
}

// examineNoWait: while a transaction is under way, views run, and do not see
// its work.
func examineNoWait(t *testing.T, d *database) {
	before := d.integer("SELECT n FROM total")
	inside, leave := make(chan struct{}), make(chan struct{})
	enter := sync.OnceFunc(func() { close(inside) })
	updated := make(chan error, 1)
	go func() {
		_, err := d.Update(t.Context(), examiner, func(tx dbms.Tx) error {
			if err := run("UPDATE total SET n = n + 100")(tx); err != nil {
				return err
			}
			enter()
			<-leave
			return nil
		})
		updated <- err
	}()
	await(t, "the writer", inside)
	promptly(t, "views beside a writer", func() {
		for range 10 {
			d.want(before, "SELECT n FROM total")
		}
	})
	close(leave)
	if err := <-updated; err != nil {
		t.Fatal(err)
	}
	d.want(before+100, "SELECT n FROM total")
}

// examineReadOnly: a view refuses to write, says so, and reads on.
func examineReadOnly(t *testing.T, d *database) {
	before := d.integer("SELECT n FROM total")
	for _, sql := range []string{
		"INSERT INTO total VALUES (1)", "UPDATE total SET n = 0", "DELETE FROM total",
		"CREATE TABLE made (v bigint)", "DROP TABLE total", "CREATE INDEX i ON total (n)",
		"INSERT INTO total VALUES (1) RETURNING n", "WITH one AS (SELECT 1 AS n) INSERT INTO total SELECT n FROM one",
	} {
		for _, q := range []*dbms.Query{dbms.SQL(sql), dbms.System(sql)} {
			d.view(func(tx dbms.Tx) error {
				_, err := tx.Exec(q)
				wantKind(t, err, abi.Denied, "Exec in a view: "+sql)
				rows, err := tx.Query(q)
				if err == nil {
					for rows.Next() {
					}
					err = rows.Err()
				}
				wantKind(t, err, abi.Denied, "Query in a view: "+sql)
				_, err = integer(tx, "SELECT n FROM total")
				return err
			})
		}
	}
	d.want(before, "SELECT n FROM total")
	d.update(bothHalves(5000))
}

func examineViewEnds(t *testing.T, d *database) {
	if err := d.View(t.Context(), func(dbms.Tx) error { return errBoom }); err != errBoom {
		t.Errorf("a view whose function fails returns %v, want its error as it was", err)
	}
	for range 20 { // more than an engine may have connections
		func() {
			defer func() {
				if v := recover(); v != errBoom {
					t.Errorf("a view panicked with %v, want the function's value", v)
				}
			}()
			d.View(t.Context(), func(dbms.Tx) error { panic(errBoom) })
		}()
		exited := make(chan struct{})
		go func() {
			defer close(exited)
			d.View(t.Context(), func(dbms.Tx) error { runtime.Goexit(); return nil })
		}()
		await(t, "the end of a view that exits", exited)
		d.view(func(tx dbms.Tx) error { // rows left open
			_, err := tx.Query(dbms.SQL("SELECT id FROM parts"))
			return err
		})
	}
	promptly(t, "a view after panics", func() { d.integer("SELECT n FROM total") })
	promptly(t, "a view in a view", func() {
		d.view(func(dbms.Tx) error { return d.View(t.Context(), func(dbms.Tx) error { return nil }) })
	})
}

// examineSnapshotLSN: a transaction's LSN is that of the last commit it sees,
// and its own commit has a greater one.
func examineSnapshotLSN(t *testing.T, d *database) {
	var last dbms.LSN
	for i := range 20 {
		var inside dbms.LSN
		fn := bothHalves(int64(6000 + i))
		lsn, err := d.Update(t.Context(), examiner, func(tx dbms.Tx) error {
			inside = tx.LSN()
			if err := fn(tx); err != nil || i%3 == 0 {
				return errors.Join(err, errBoom)
			}
			if again := tx.LSN(); again != inside {
				t.Errorf("Tx.LSN went from %d to %d within a transaction", inside, again)
			}
			return nil
		})
		if inside < last {
			t.Errorf("a transaction after commit %d reads snapshot %d", last, inside)
		}
		if err != nil {
			continue
		}
		if lsn <= inside || lsn <= last {
			t.Errorf("commit %d: its snapshot was %d, the commit before %d", lsn, inside, last)
		}
		last = lsn
		d.view(func(tx dbms.Tx) error {
			if tx.LSN() != last || d.Status().LastLSN != last {
				t.Errorf("after commit %d a view is at %d and Status at %d", last, tx.LSN(), d.Status().LastLSN)
			}
			return nil
		})
	}
}
