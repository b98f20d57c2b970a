package dbmstest

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// examineNotes: what a transaction records comes back with its commit.
func examineNotes(t *testing.T, e Engine) {
	d := openAsync(t, e)
	d.exec("CREATE TABLE t (v bigint)")
	for _, c := range []struct {
		name  string
		notes [][]byte
		want  []byte
	}{
		{"none", nil, nil},
		{"one", [][]byte{{0, 0xff, 'x'}}, []byte{0, 0xff, 'x'}},
		{"the last", [][]byte{[]byte("first"), []byte("last")}, []byte("last")},
		{"none after one", nil, nil},
		{"taken back", [][]byte{[]byte("first"), nil}, nil},
		{"the longest", [][]byte{bytes.Repeat([]byte{7}, dbms.MaxNote)}, bytes.Repeat([]byte{7}, dbms.MaxNote)},
	} {
		before := d.Status().LastLSN
		lsn := d.update(func(tx dbms.Tx) error {
			for _, n := range c.notes {
				tx.Record(n)
			}
			return run("INSERT INTO t VALUES (1)")(tx)
		})
		commits := d.changes(before)
		if len(commits) != 1 || commits[0].LSN != lsn || !bytes.Equal(commits[0].Note, c.want) || (commits[0].Note == nil) != (c.want == nil) {
			t.Errorf("%s: the commit is %+v, want LSN %d and %d bytes of note", c.name, commits, lsn, len(c.want))
		}
	}
	before := d.Status().LastLSN
	_, err := d.Update(t.Context(), examiner, func(tx dbms.Tx) error {
		tx.Record(make([]byte, dbms.MaxNote+1))
		return run("INSERT INTO t VALUES (1)")(tx)
	})
	if abi.KindOf(err) != abi.Invalid || len(d.changes(before)) != 0 {
		t.Errorf("a note that is too long: %v, and commits %+v", err, d.changes(before))
	}
	d.view(func(tx dbms.Tx) error { tx.Record([]byte("in a view")); return nil })
	t.Run("snapshot", func(t *testing.T) { examineSnapshots(t, d) })
}

// examineSnapshots: a commit says what its transaction had seen.
func examineSnapshots(t *testing.T, d *database) {
	begun, finish := make(chan struct{}), make(chan struct{})
	var first sync.Once // it may run again
	seen := make(chan int64, 1)
	go func() {
		_, err := d.Update(context.Background(), abi.Call{Procedure: "slow"}, func(tx dbms.Tx) error {
			n, err := integer(tx, "SELECT count(*) FROM t")
			tx.Record([]byte{1})
			first.Do(func() {
				close(begun)
				<-finish
			})
			seen <- n
			return err
		})
		if err != nil {
			t.Error(err)
		}
		close(seen)
	}()
	<-begun
	done := make(chan struct{})
	go func() { // overtakes the other where transactions overlap
		defer close(done)
		d.exec("INSERT INTO t VALUES (2)")
	}()
	if d.Status().Engine != "sqlite" {
		finally(t, "a transaction beside the slow one", func() { <-done })
	}
	close(finish)
	n := <-seen
	for range seen {
	}
	finally(t, "the other transaction", func() { <-done })
	var rows int64
	var slow *dbms.Commit
	commits := d.changes(0)
	for i, c := range commits {
		if c.Snapshot >= c.LSN || c.Snapshot < 0 {
			t.Errorf("commit %d has seen up to %d", c.LSN, c.Snapshot)
		}
		if c.Call.Procedure == "slow" {
			slow = &commits[i]
		}
	}
	if slow == nil {
		t.Fatal("the slow transaction is not in Changes")
	}
	for _, c := range commits {
		for _, change := range c.Changes {
			if change.Op == dbms.Insert && change.Table == "t" && c.LSN <= slow.Snapshot {
				rows++
			}
		}
	}
	if rows != n {
		t.Errorf("the slow transaction saw %d rows; up to its snapshot %d there were %d", n, slow.Snapshot, rows)
	}
}

// examineTables: the tracked tables and what they are made of.
func examineTables(t *testing.T, e Engine) {
	d := openAsync(t, e)
	d.exec(`CREATE TABLE plain (id bigint PRIMARY KEY NOT NULL, name text)`)
	d.exec(`CREATE TABLE "Odd ""name""" (a bigint NOT NULL, "select" text NOT NULL, PRIMARY KEY ("select", a))`)
	d.exec(`CREATE TABLE keyless (v text)`)
	lsn := d.exec(`ALTER TABLE plain ADD COLUMN extra bigint DEFAULT 5`)
	d.exec(`CREATE TABLE gone (v text)`)
	var before []dbms.Change
	d.view(func(tx dbms.Tx) (err error) {
		before, err = d.Tables(tx)
		return err
	})
	d.exec(`DROP TABLE gone`)
	d.view(func(tx dbms.Tx) error {
		tables, err := d.Tables(tx)
		if err != nil {
			return err
		}
		if len(tables)+1 != len(before) || len(tables) != 3 {
			t.Errorf("there are %+v, and before %+v", tables, before)
		}
		byName := map[string]dbms.Change{}
		for i, c := range tables {
			if byName[c.Table] = c; i > 0 && tables[i-1].Table >= c.Table && e.Name != "sqlite" {
				t.Errorf("%s comes after %s", c.Table, tables[i-1].Table)
			}
			if c.Op != dbms.Define || len(c.Types) != len(c.Columns) || c.Schema == "" {
				t.Errorf("%+v is no definition", c)
			}
		}
		plain, odd := byName["plain"], byName[`Odd "name"`]
		if len(plain.Columns) != 3 || plain.Columns[2] != "extra" || len(plain.KeyColumns) != 1 || plain.KeyColumns[0] != "id" || plain.LSN < lsn-1_000_000 || plain.LSN > lsn {
			t.Errorf("plain is %+v; it was last defined by commit %d", plain, lsn)
		}
		if len(odd.KeyColumns) != 2 || odd.KeyColumns[0] != "select" || odd.KeyColumns[1] != "a" {
			t.Errorf("the odd table is %+v", odd)
		}
		if key := byName["keyless"].KeyColumns; len(key) != 1 || len(byName["keyless"].Columns) != 1 {
			t.Errorf("the keyless table is %+v", byName["keyless"])
		}
		return nil
	})
}

// examineExclusive: an exclusive transaction sees all that was committed, can
// read it by Changes, and nobody overlaps with it.
func examineExclusive(t *testing.T, e Engine) {
	d := openAsync(t, e)
	d.exec("CREATE TABLE counter (id bigint PRIMARY KEY NOT NULL, n bigint NOT NULL)")
	d.exec("INSERT INTO counter VALUES (1, 0)")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan int64)
	for range 3 {
		go func() {
			var n int64
			for ctx.Err() == nil {
				if _, err := d.try("UPDATE counter SET n = n + 1 WHERE id = 1"); err != nil {
					t.Error(err)
				}
				n++
			}
			ended <- n
		}()
	}
	exclusive := int64(0)
	for range rounds(8) {
		lsn, err := d.UpdateExclusive(t.Context(), abi.Call{Procedure: "alone"}, []string{"counter"}, func(tx dbms.Tx) error {
			return aloneWith(t, d, tx)
		})
		if err != nil || lsn == 0 {
			t.Fatalf("exclusive: %d, %v", lsn, err)
		}
		exclusive += 1000
	}
	stop()
	total := exclusive
	for range 3 {
		total += <-ended
	}
	d.want(total, "SELECT n FROM counter")
	t.Run("fails", func(t *testing.T) {
		own := errors.New("own")
		before := d.Status().LastLSN
		_, err := d.UpdateExclusive(t.Context(), examiner, nil, func(tx dbms.Tx) error {
			if err := run("DELETE FROM counter")(tx); err != nil {
				return err
			}
			return own
		})
		if !errors.Is(err, own) || len(d.changes(before)) != 0 {
			t.Errorf("%v, and commits %+v", err, d.changes(before))
		}
		_, err = d.UpdateExclusive(t.Context(), examiner, []string{"nowhere"}, func(dbms.Tx) error { return nil })
		if abi.KindOf(err) != abi.NotFound {
			t.Errorf("of a table that is not there: %v", err)
		}
		d.want(total, "SELECT n FROM counter")
	})
}

// aloneWith checks, inside an exclusive transaction, that nothing happens
// beside it, and adds 1000 to the counter.
func aloneWith(t *testing.T, d *database, tx dbms.Tx) error {
	lsn := tx.LSN()
	n, err := integer(tx, "SELECT n FROM counter")
	if err != nil {
		return err
	}
	last := int64(-1)
	for _, c := range d.changes(0) {
		for _, change := range c.Changes {
			if change.Op != dbms.Define && c.LSN <= lsn {
				last = change.Row[1].(int64)
			}
			if c.LSN > lsn {
				t.Errorf("commit %d came beside the exclusive transaction of snapshot %d", c.LSN, lsn)
			}
		}
	}
	if last != n {
		t.Errorf("at snapshot %d the counter is %d; Changes ends with %d", lsn, n, last)
	}
	return run("UPDATE counter SET n = $1", n+1000)(tx)
}
