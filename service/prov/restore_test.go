package prov

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/dbmstest"
	"github.com/dbos-go/dbos/warehouse"
)

// A world is a database that is followed by a record.
type world struct {
	t  testing.TB
	db dbms.DB
	s  *Service
	w  *record
}

func newWorld(t testing.TB, db dbms.DB) *world {
	t.Helper()
	s, err := New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t, db, s, &record{}}
	slow := usualPace
	slow.look = time.Hour
	err = s.Start(t.Context(), Options{Dir: t.TempDir(), pace: slow, open: func(context.Context, string, warehouse.Options) (past, error) { return w.w, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return w
}

// do runs statements as one transaction, in the application's name.
func (w *world) do(statements ...string) dbms.LSN {
	w.t.Helper()
	lsn, err := w.db.Update(w.t.Context(), abi.Call{Procedure: "test", Principal: "user:t"}, func(tx dbms.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(dbms.SQL(s)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatalf("%s: %v", statements, err)
	}
	return lsn
}

// digests are those of all tables that a restore puts back.
func (w *world) digests() map[string]string {
	w.t.Helper()
	return digestsOf(w.t, w.db)
}

func digestsOf(t testing.TB, db dbms.DB) map[string]string {
	t.Helper()
	var names []string
	err := db.View(t.Context(), func(tx dbms.Tx) error {
		names = nil
		tables, err := db.Tables(tx)
		for _, t := range tables {
			if !isKept(t.Table) {
				names = append(names, t.Table)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range names {
		digest, _, err := Digest(t.Context(), db, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = digest
	}
	return all
}

func TestRestore(t *testing.T) {
	dbmstest.OnEngines(t, func(t *testing.T, db dbms.DB) {
		w := newWorld(t, db)
		w.do(`CREATE TABLE parent (id BIGINT PRIMARY KEY, name TEXT UNIQUE)`,
			`CREATE TABLE child (id BIGINT PRIMARY KEY, parent BIGINT NOT NULL REFERENCES parent (id) ON DELETE CASCADE, n BIGINT)`)
		then := w.do(`INSERT INTO parent VALUES (1, 'a'), (2, 'b'), (3, 'c')`, `INSERT INTO child VALUES (10, 1, 5), (11, 2, 6), (12, 3, 7)`)
		before := w.digests()
		w.do(`UPDATE parent SET name = 'x' WHERE id = 1`, `UPDATE parent SET name = 'a' WHERE id = 2`, `UPDATE parent SET name = 'b' WHERE id = 1`)
		w.do(`DELETE FROM parent WHERE id = 3`, `INSERT INTO parent VALUES (4, 'd')`, `UPDATE child SET parent = 4 WHERE id = 10`)
		now := w.digests()
		back, err := w.s.Restore(t.Context(), RestoreOptions{To: "LSN " + itoa(then), Principal: "user:op"})
		if err != nil {
			t.Fatal(err)
		}
		equalDigests(t, w.digests(), before)
		if _, err := w.s.Restore(t.Context(), RestoreOptions{To: back.From.Text}); err != nil {
			t.Fatal(err)
		}
		equalDigests(t, w.digests(), now)
	})
}

func itoa(lsn dbms.LSN) string { return strconv.FormatInt(int64(lsn), 10) }

func equalDigests(t testing.TB, got, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the tables are not what they were (-want +got):\n%s", diff)
	}
}
