package prov

import (
	"errors"
	"strings"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/dbmstest"
)

// onWorlds runs a test in a world of each engine, and, unless it has to be
// short, of more of them.
func onWorlds(t *testing.T, test func(t *testing.T, w *world, e dbmstest.Engine), more ...dbmstest.Engine) {
	if testing.Short() {
		more = nil
	}
	for _, e := range append(dbmstest.Engines(), more...) {
		name := e.Label
		if name == "" {
			name = e.Name
		}
		t.Run(name, func(t *testing.T) {
			e.Need(t)
			db, err := e.Open(t.Context(), t.TempDir(), dbms.Options{Durability: dbms.Async})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			test(t, newWorld(t, db), e)
		})
	}
}

// TestRestoreMeetsConstraints: unique values that changed hands, parents that
// came and went under their children, cascades.
func TestRestoreMeetsConstraints(t *testing.T) {
	onWorlds(t, func(t *testing.T, w *world, _ dbmstest.Engine) {
		w.do(`CREATE TABLE parent (id BIGINT PRIMARY KEY, name TEXT UNIQUE)`,
			`CREATE TABLE child (id BIGINT PRIMARY KEY, parent BIGINT NOT NULL REFERENCES parent (id) ON DELETE CASCADE, n BIGINT)`,
			`CREATE TABLE member (name TEXT PRIMARY KEY, boss TEXT REFERENCES member (name) ON UPDATE CASCADE)`)
		then := w.do(`INSERT INTO parent VALUES (1, 'a'), (2, 'b'), (3, 'c')`, `INSERT INTO child VALUES (10, 1, 5), (11, 2, 6), (12, 3, 7)`,
			`INSERT INTO member VALUES ('ada', NULL), ('bob', 'ada'), ('eve', 'ada')`)
		before := w.digests()
		w.do(`UPDATE parent SET name = 'x' WHERE id = 1`, `UPDATE parent SET name = 'a' WHERE id = 2`, `UPDATE parent SET name = 'b' WHERE id = 1`,
			`UPDATE member SET name = 'ida' WHERE name = 'ada'`, `UPDATE member SET boss = NULL WHERE name = 'bob'`, `UPDATE member SET boss = 'bob' WHERE name = 'ida'`)
		w.do(`DELETE FROM parent WHERE id = 3`, `INSERT INTO parent VALUES (4, 'd')`, `UPDATE child SET parent = 4 WHERE id = 10`)
		now := w.digests()
		p := w.restore(then)
		equalDigests(t, "after the restore", w.digests(), before)
		if p.LSN <= p.From.LSN || p.From.LSN < then || p.To.LSN != then || len(p.Tables) != 3 {
			t.Errorf("the plan says %+v", p)
		}
		if parent := p.Tables[2]; parent.Name != "parent" || parent.Applied != (Applied{Changed: 2, Back: 1, Removed: 1}) {
			t.Errorf("of parent the plan says %+v", parent)
		}
		w.restore(p.From.LSN)
		equalDigests(t, "after the restore of the restore", w.digests(), now)
		// Constraints are in force again.
		if _, err := w.try(`INSERT INTO child VALUES (99, 99, 9)`); err == nil {
			t.Error("a child without a parent was taken after a restore")
		}
		w.do(`DELETE FROM parent WHERE id = 4`)
	})
}

// TestRestoreIsRefusedWhole: what cannot be restored, or fails on its way,
// changes nothing.
func TestRestoreIsRefusedWhole(t *testing.T) {
	onWorlds(t, func(t *testing.T, w *world, _ dbmstest.Engine) {
		w.do(`CREATE TABLE parent (id BIGINT PRIMARY KEY, name TEXT)`,
			`CREATE TABLE child (id BIGINT PRIMARY KEY, parent BIGINT NOT NULL REFERENCES parent (id))`)
		then := w.do(`INSERT INTO parent VALUES (1, 'a'), (2, 'b')`, `INSERT INTO child VALUES (10, 1), (11, 1)`)
		w.do(`DELETE FROM child`, `DELETE FROM parent WHERE id = 1`, `UPDATE parent SET name = 'c'`)
		now := w.digests()
		stop := errors.New("stop")
		for what, c := range map[string]struct {
			o    RestoreOptions
			kind abi.Kind
			fail error
		}{
			"children without their parents": {o: RestoreOptions{Tables: []string{"child"}}, kind: abi.Conflict},
			"a table of the system":          {o: RestoreOptions{Tables: []string{"sched_task"}}, kind: abi.Invalid},
			"a table that never was":         {o: RestoreOptions{Tables: []string{"nothing"}}, kind: abi.NotFound},
			"an application and tables":      {o: RestoreOptions{App: "a", Tables: []string{"child"}}, kind: abi.Invalid},
			"after now":                      {o: RestoreOptions{To: "LSN 999999999"}, kind: abi.NotFound},
			"an unreadable moment":           {o: RestoreOptions{To: "25:99"}, kind: abi.Invalid},
			"a run that never was":           {o: RestoreOptions{To: "run:nobody"}, kind: abi.NotFound},
			"what fails after it":            {o: RestoreOptions{After: func(dbms.Tx) error { return stop }}, kind: abi.Other},
			"what fails in the middle":       {kind: abi.Other, fail: stop},
		} {
			if c.o.To == "" {
				c.o.To = itoa(then)
			}
			w.past.diffs, w.past.fail = 1, c.fail
			_, err := w.s.Restore(t.Context(), c.o)
			if abi.KindOf(err) != c.kind || err == nil || c.kind != abi.Other && abi.HintOf(err) == "" {
				t.Errorf("%s: %v (%v, hint %q), want %v", what, err, abi.KindOf(err), abi.HintOf(err), c.kind)
			}
			if c.kind == abi.Other && !errors.Is(err, stop) {
				t.Errorf("%s: %v", what, err)
			}
			equalDigests(t, "after "+what, w.digests(), now)
		}
		w.past.fail = nil
		if _, err := w.s.Restore(t.Context(), RestoreOptions{To: itoa(then), Tables: []string{"parent", "CHILD"}}); err != nil {
			t.Error(err)
		}
	})
}

// TestRestoreOfOtherDefinitions: tables that were made, dropped or changed
// since.
func TestRestoreOfOtherDefinitions(t *testing.T) {
	onWorlds(t, func(t *testing.T, w *world, _ dbmstest.Engine) {
		w.do(`CREATE TABLE kept (id BIGINT PRIMARY KEY, a TEXT, b TEXT)`, `CREATE TABLE dropped (id BIGINT PRIMARY KEY, x TEXT NOT NULL)`,
			`CREATE TABLE rekeyed (id BIGINT, x TEXT)`)
		then := w.do(`INSERT INTO kept VALUES (1, 'a1', 'b1'), (2, 'a2', 'b2')`, `INSERT INTO dropped VALUES (7, 'seven'), (8, 'eight')`,
			`INSERT INTO rekeyed VALUES (1, 'one'), (2, 'two')`)
		before := w.digests()
		w.do(`ALTER TABLE kept ADD COLUMN c TEXT DEFAULT 'new'`, `ALTER TABLE kept DROP COLUMN b`, `CREATE TABLE made (id BIGINT PRIMARY KEY)`,
			`DROP TABLE dropped`, `DROP TABLE rekeyed`, `CREATE TABLE rekeyed (x TEXT, id BIGINT PRIMARY KEY)`)
		w.do(`UPDATE kept SET a = 'other', c = 'kept' WHERE id = 1`, `DELETE FROM kept WHERE id = 2`, `INSERT INTO made VALUES (1), (2)`,
			`INSERT INTO rekeyed VALUES ('nine', 9)`)
		plan, err := w.s.PlanRestore(t.Context(), RestoreOptions{To: itoa(then)})
		if err != nil {
			t.Fatal(err)
		}
		p := w.restore(then)
		got := map[string]string{}
		for _, table := range p.Tables {
			got[table.Name] = table.Definition
		}
		for name, want := range map[string]string{"kept": "changed", "dropped": "made again", "made": "emptied", "rekeyed": "changed"} {
			if got[name] != want {
				t.Errorf("the definition of %s is %q, want %q: %v", name, got[name], want, p.Warnings)
			}
		}
		if len(p.Warnings) < 4 || strings.Join(plan.Warnings, "\n") != strings.Join(p.Warnings, "\n") {
			t.Errorf("warnings: %q, planned %q", p.Warnings, plan.Warnings)
		}
		if digest, _, err := Digest(t.Context(), w.db, "dropped"); err != nil || digest != before["dropped"] {
			t.Errorf("the dropped table: %s, %v", digest, err)
		}
		for query, want := range map[string]string{
			`SELECT id, a, c FROM kept ORDER BY id`: "1 a1 kept; 2 a2 new", `SELECT id, x FROM rekeyed ORDER BY id`: "1 one; 2 two", `SELECT id FROM made`: "",
		} {
			if got := w.list(query); got != want {
				t.Errorf("%s gives %q, want %q", query, got, want)
			}
		}
	}, dbmstest.PostgresTriggersEngine)
}
