package dbmstest

import (
	"context"
	"fmt"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A reporter takes findings: a *testing.T, a *rapid.T, or a child process.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// A database is an open database under examination. Its own methods fail the
// test when they do not succeed.
type database struct {
	dbms.DB
	t   reporter
	dir string
}

// examiner is the call of transactions whose call does not matter.
var examiner = abi.Call{Procedure: "examiner.call", Principal: "user:examiner"}

// open opens a new database, to be closed at the test's end.
func open(t *testing.T, e Engine, o dbms.Options) *database {
	t.Helper()
	d := reopen(t, e, t.TempDir(), o)
	t.Cleanup(func() {
		t.Helper()
		promptly(t, "close", d.close) // also after a test that found it stuck
	})
	return d
}

// openAsync is open for tests that are not about durability.
func openAsync(t *testing.T, e Engine) *database {
	t.Helper()
	return open(t, e, dbms.Options{Durability: dbms.Async})
}

// reopen opens the database of a directory. The caller closes it.
func reopen(t reporter, e Engine, dir string, o dbms.Options) *database {
	t.Helper()
	db, err := e.Open(context.Background(), dir, o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return &database{DB: db, t: t, dir: dir}
}

func (d *database) close() {
	if err := d.Close(); err != nil {
		d.t.Errorf("close: %v", err)
	}
}

// update runs fn as a transaction and returns its LSN.
func (d *database) update(fn func(dbms.Tx) error) dbms.LSN {
	d.t.Helper()
	lsn, err := d.Update(context.Background(), examiner, fn)
	if err != nil {
		d.t.Fatalf("update: %v", err)
	}
	return lsn
}

// exec runs an application's statement as a transaction of its own.
func (d *database) exec(sql string, args ...any) dbms.LSN {
	d.t.Helper()
	lsn, err := d.try(sql, args...)
	if err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
	return lsn
}

// try is exec that may fail.
func (d *database) try(sql string, args ...any) (dbms.LSN, error) {
	return d.Update(context.Background(), examiner, run(sql, args...))
}

// run is a transaction of one statement of an application.
func run(sql string, args ...any) func(dbms.Tx) error {
	q := dbms.SQL(sql)
	return func(tx dbms.Tx) error {
		_, err := tx.Exec(q, args...)
		return err
	}
}

// view runs fn on a snapshot.
func (d *database) view(fn func(dbms.Tx) error) {
	d.t.Helper()
	if err := d.View(context.Background(), fn); err != nil {
		d.t.Fatalf("view: %v", err)
	}
}

// integer returns the one value of a query on a new snapshot.
func (d *database) integer(sql string, args ...any) int64 {
	d.t.Helper()
	var n int64
	d.view(func(tx dbms.Tx) error {
		var err error
		n, err = integer(tx, sql, args...)
		return err
	})
	return n
}

// want fails unless the query's one value is n.
func (d *database) want(n int64, sql string, args ...any) {
	d.t.Helper()
	if got := d.integer(sql, args...); got != n {
		d.t.Errorf("%s gives %d, want %d", sql, got, n)
	}
}

// changes returns all commits after an LSN.
func (d *database) changes(after dbms.LSN) []dbms.Commit {
	d.t.Helper()
	var all []dbms.Commit
	for {
		commits, err := d.Changes(context.Background(), after, dbms.MaxBatch)
		if err != nil {
			d.t.Fatalf("changes after %d: %v", after, err)
		}
		if len(commits) == 0 {
			return all
		}
		if commits[0].LSN <= after {
			d.t.Fatalf("changes after %d begin with commit %d", after, commits[0].LSN)
		}
		all = append(all, commits...)
		after = commits[len(commits)-1].LSN
	}
}

// integer returns the one value of a query in a transaction.
func integer(tx dbms.Tx, sql string, args ...any) (int64, error) {
	var n int64
	found := 0
	err := each(tx, dbms.SQL(sql), func(r dbms.Rows) error { found++; return r.Scan(&n) }, args...)
	if err == nil && found != 1 {
		err = fmt.Errorf("%s gives %d rows, want 1", sql, found)
	}
	return n, err
}

// each calls row for each row of a query.
func each(tx dbms.Tx, q *dbms.Query, row func(dbms.Rows) error, args ...any) error {
	rows, err := tx.Query(q, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
