package dbmstest

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// steps makes migrations of scripts.
func steps(owner string, application bool, scripts ...string) dbms.Migrations {
	m := dbms.Migrations{Owner: owner, Application: application}
	for i, sql := range scripts {
		m.Steps = append(m.Steps, dbms.Migration{Version: i + 1, Name: fmt.Sprint("step", i+1), SQL: sql})
	}
	return m
}

var shopSteps = []string{
	"CREATE TABLE item (id bigint PRIMARY KEY NOT NULL); -- one\nINSERT INTO item VALUES (1);\n/* two */ INSERT INTO item VALUES (2);;\n",
	"ALTER TABLE item ADD COLUMN name text",
	"UPDATE item SET name = 'item; ' || id;\n\n-- nothing more",
}

// examineMigrate is about how tables come to be.
func examineMigrate(t *testing.T, e Engine) {
	for _, c := range []struct {
		name    string
		examine func(*testing.T, *database, Engine)
	}{
		{"once", examineMigrateOnce},
		{"edited", examineMigrateEdited},
		{"failing step", examineMigrateFails},
		{"concurrent", examineMigrateConcurrent},
		{"owners", examineOwners},
		{"malformed", examineMalformed},
		{"tracked", examineMigrateTracked},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := reopen(t, e, t.TempDir(), dbms.Options{Durability: dbms.Async})
			defer func() { d.close() }()
			c.examine(t, d, e)
		})
	}
}

func (d *database) migrate(m dbms.Migrations) {
	d.t.Helper()
	if err := d.Migrate(d.t.(*testing.T).Context(), m); err != nil {
		d.t.Fatalf("migrate: %v", err)
	}
}

// examineMigrateOnce: each step runs once, however often and however far the
// list goes.
func examineMigrateOnce(t *testing.T, d *database, e Engine) {
	for n := range len(shopSteps) + 1 {
		for range 2 {
			d.migrate(steps("app:shop", true, shopSteps[:n]...))
		}
		if n == 2 {
			d.close()
			*d = *reopen(t, e, d.dir, dbms.Options{Durability: dbms.Async})
		}
	}
	before := d.Status().LastLSN
	d.migrate(steps("app:shop", true, shopSteps...))
	if last := d.Status().LastLSN; last != before {
		t.Errorf("migrating what is there has made commit %d", last)
	}
	d.want(2, "SELECT count(*) FROM item WHERE name = 'item; ' || id")
	err := d.Migrate(t.Context(), steps("app:shop", true, shopSteps[:2]...))
	wantKind(t, err, abi.Conflict, "a program that knows fewer steps than have run")
}

func examineMigrateEdited(t *testing.T, d *database, _ Engine) {
	d.migrate(steps("app:shop", true, shopSteps[:2]...))
	edited := slices.Clone(shopSteps)
	edited[1] += " "
	err := d.Migrate(t.Context(), steps("app:shop", true, edited...))
	wantKind(t, err, abi.Conflict, "a step that was edited after it had run")
	if abi.HintOf(err) == "" {
		t.Errorf("no hint what to do about %v", err)
	}
	d.want(2, "SELECT count(*) FROM item WHERE name IS NULL")
	d.migrate(steps("app:shop", true, shopSteps...))
}

// examineMigrateFails: a step that fails leaves nothing of itself and
// everything of the steps before.
func examineMigrateFails(t *testing.T, d *database, _ Engine) {
	for _, bad := range []string{
		"INSERT INTO item VALUES (9, 'x'); CREATE TABLE made (v bigint); INSERT INTO item VALUES (1, 'again')",
		"DELETE FROM item; SELEKT",
		"CREATE TABLE made (v bigint); INSERT INTO nowhere VALUES (1)",
		"DELETE FROM item; INSERT INTO item VALUES ($1, 'x')",
	} {
		err := d.Migrate(t.Context(), steps("app:shop", true, shopSteps[0], shopSteps[1], bad))
		wantKind(t, err, abi.KindOf(err), bad) // whichever it is
		d.want(2, "SELECT count(*) FROM item WHERE id < 3")
		d.want(2, "SELECT count(*) FROM item")
		if _, err := d.try("SELECT * FROM made"); err == nil {
			t.Errorf("%s: its table is there", bad)
		}
	}
	d.migrate(steps("app:shop", true, shopSteps...))
}

// examineMigrateConcurrent: several programs that start at once bring the
// tables to the same version, once.
func examineMigrateConcurrent(t *testing.T, d *database, _ Engine) {
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if err := d.Migrate(t.Context(), steps("app:shop", true, shopSteps...)); err != nil {
				t.Errorf("migrate: %v", err)
			}
		})
	}
	promptly(t, "the migrations", all.Wait)
	d.want(2, "SELECT count(*) FROM item WHERE name = 'item; ' || id")
}

// examineOwners: each owner has its own numbers, and services may use the
// names that applications may not.
func examineOwners(t *testing.T, d *database, _ Engine) {
	d.migrate(steps("sched", false, "CREATE TABLE sched_thing (id bigint PRIMARY KEY NOT NULL)"))
	d.migrate(steps("wf", false, "CREATE TABLE wf_thing (id bigint PRIMARY KEY NOT NULL)", "INSERT INTO sched_thing VALUES (1)"))
	d.migrate(steps("app:shop", true, "CREATE TABLE thing AS SELECT id FROM sched_thing"))
	d.want(1, "SELECT count(*) FROM thing")
	for _, sql := range []string{
		"INSERT INTO sched_thing VALUES (2)", "DROP TABLE wf_thing", "CREATE TABLE wf_mine (v bigint)", "ALTER TABLE sched_thing ADD COLUMN v bigint",
	} {
		err := d.Migrate(t.Context(), steps("app:other", true, "CREATE TABLE other (v bigint);"+sql))
		wantKind(t, err, abi.Denied, "an application's migration: "+sql)
		if _, err := d.try("SELECT * FROM other"); err == nil {
			t.Errorf("%s: the step's other statement is there", sql)
		}
	}
	d.want(1, "SELECT count(*) FROM sched_thing")
}

func examineMalformed(t *testing.T, d *database, _ Engine) {
	one := dbms.Migration{Version: 1, Name: "a", SQL: "CREATE TABLE a (v bigint)"}
	third := dbms.Migration{Version: 3, Name: "c", SQL: "CREATE TABLE c (v bigint)"}
	for what, m := range map[string]dbms.Migrations{
		"no owner":       {Steps: []dbms.Migration{one}},
		"a gap":          {Owner: "o", Steps: []dbms.Migration{one, third}},
		"two of one":     {Owner: "o", Steps: []dbms.Migration{one, one}},
		"not from 1 on":  {Owner: "o", Steps: []dbms.Migration{third}},
		"an empty step":  {Owner: "o2", Steps: []dbms.Migration{{Version: 2, Name: "a"}}},
		"overlong owner": {Owner: string(make([]byte, abi.MaxName+1)), Steps: []dbms.Migration{one}},
	} {
		wantKind(t, d.Migrate(t.Context(), m), abi.Invalid, "migrations with "+what)
	}
	for _, table := range []string{"a", "c"} {
		if _, err := d.try("SELECT * FROM " + table); err == nil {
			t.Errorf("a malformed list has made table %s", table)
		}
	}
	d.migrate(dbms.Migrations{Owner: "o"})
}

// examineMigrateTracked: Changes has what migrations do.
func examineMigrateTracked(t *testing.T, d *database, e Engine) {
	d.migrate(steps("app:shop", true, "CREATE TABLE item (id bigint PRIMARY KEY NOT NULL); INSERT INTO item VALUES (1), (2); UPDATE item SET id = 3 WHERE id = 2"))
	d.migrate(steps("sched", false, "CREATE TABLE sched_thing (id bigint PRIMARY KEY NOT NULL); INSERT INTO sched_thing VALUES (1)"))
	r := newReplica(e)
	for _, c := range d.changes(0) {
		if err := r.apply(c); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"item", "sched_thing"} {
		if r.tables[table] == nil {
			t.Errorf("Changes does not have table %s", table)
		}
	}
	d.compare(r)
}
