package prov

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/dbmstest"
	"github.com/dbos-go/dbos/warehouse"
)

// A world is a database that is followed by a warehouse; in a build without one,
// by a record.
type world struct {
	t    testing.TB
	db   dbms.DB
	s    *Service
	past *faulty
}

// A faulty past fails when it is told to.
type faulty struct {
	past
	diffs int   // how many differences of one Diff are given before
	fail  error // it fails with this
}

func (f *faulty) Diff(ctx context.Context, table string, from, to dbms.LSN, fn func(warehouse.Difference) error) error {
	n := 0
	return f.past.Diff(ctx, table, from, to, func(d warehouse.Difference) error {
		if n++; f.fail != nil && n > f.diffs {
			return f.fail
		}
		return fn(d)
	})
}

func newWorld(t testing.TB, db dbms.DB) *world {
	t.Helper()
	s, err := New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, s: s}
	slow := usualPace
	slow.look = time.Hour
	err = s.Start(t.Context(), Options{Dir: t.TempDir(), pace: slow, Memory: 256 << 20, open: func(ctx context.Context, dir string, o warehouse.Options) (past, error) {
		p := past(&record{})
		if warehouse.Supported {
			var err error
			if p, err = openWarehouse(ctx, dir, o); err != nil {
				return nil, err
			}
		}
		w.past = &faulty{past: p}
		return w.past, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Flush(t.Context()); err != nil { // the warehouse is opened
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// do runs statements as one transaction, in the application's name.
func (w *world) do(statements ...string) dbms.LSN {
	w.t.Helper()
	lsn, err := w.try(statements...)
	if err != nil {
		w.t.Fatalf("%s: %v", statements, err)
	}
	return lsn
}

func (w *world) try(statements ...string) (dbms.LSN, error) {
	return w.db.Update(w.t.Context(), abi.Call{Procedure: "test", Principal: "user:t"}, func(tx dbms.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(dbms.SQL(s)); err != nil {
				return err
			}
		}
		return nil
	})
}

// restore restores everything to an LSN.
func (w *world) restore(to dbms.LSN) *RestorePlan {
	w.t.Helper()
	p, err := w.s.Restore(w.t.Context(), RestoreOptions{To: itoa(to), Principal: "user:op"})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// digests are those of all tables that a restore puts back.
func (w *world) digests() map[string]string { return digestsOf(w.t, w.db) }

func digestsOf(t testing.TB, db dbms.DB) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := db.View(t.Context(), func(tx dbms.Tx) error {
		tables, err := db.Tables(tx)
		if err != nil {
			return err
		}
		for _, table := range tables {
			if isKept(table.Table) {
				continue
			}
			if all[table.Table], _, err = digestOf(tx, table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func itoa(lsn dbms.LSN) string { return strconv.FormatInt(int64(lsn), 10) }

func equalDigests(t testing.TB, when string, got, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s the tables are not what they were (-want +got):\n%s", when, diff)
	}
}

// scratch is an empty database of the same engine.
func (w *world) scratch(e dbmstest.Engine) dbms.DB {
	w.t.Helper()
	t, ok := w.t.(*testing.T)
	if !ok {
		w.t.Fatal("scratch outside of a test")
	}
	db, err := e.Open(t.Context(), t.TempDir(), dbms.Options{Durability: dbms.Async})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := New(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return db
}

// list is the result of a query as text.
func (w *world) list(query string) string {
	w.t.Helper()
	var lines []string
	err := w.db.View(w.t.Context(), func(tx dbms.Tx) error {
		lines = nil
		return each(tx, dbms.SQL(query), func(row []dbms.Value) error {
			lines = append(lines, strings.TrimSpace(fmt.Sprintln(anys(row)...)))
			return nil
		})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(lines, "; ")
}

func anys(row []dbms.Value) []any {
	list := make([]any, len(row))
	for i, v := range row {
		list[i] = v
	}
	return list
}
