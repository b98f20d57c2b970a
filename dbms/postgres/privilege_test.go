package postgres

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// login makes a login role with some attributes and returns a URL that uses
// it. grants are run by the superuser, with %r for the role, %a for the
// application's.
func login(t *testing.T, schema, attributes string, grants ...string) string {
	t.Helper()
	server := pgtest.Need(t)
	role := schema + "_login"
	run := func(sql string) {
		t.Helper()
		sql = strings.NewReplacer("%r", role, "%a", appRole(schema)).Replace(sql)
		if _, err := server.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	run("CREATE ROLE %r LOGIN " + attributes)
	t.Cleanup(func() {
		t.Context()
		for _, sql := range []string{"DROP OWNED BY %r CASCADE", "DROP ROLE %r"} {
			sql = strings.NewReplacer("%r", role).Replace(sql)
			if _, err := server.Exec(context.Background(), sql); err != nil {
				t.Logf("%s: %v", sql, err)
			}
		}
	})
	for _, sql := range grants {
		run(sql)
	}
	u, err := url.Parse(server.URL(schema))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	return u.String()
}

// TestLeastPrivilege: the grants that docs/guide/postgres.md names are enough.
func TestLeastPrivilege(t *testing.T) {
	for name, c := range map[string]struct {
		attributes string
		grants     []string
		history    string
	}{
		"as little as possible": {"", []string{"CREATE ROLE %a NOLOGIN", "GRANT %a TO %r", "GRANT CREATE ON DATABASE postgres TO %r"}, "triggers"},
		"with replication":      {"REPLICATION", []string{"CREATE ROLE %a NOLOGIN", "GRANT %a TO %r", "GRANT CREATE ON DATABASE postgres TO %r"}, "logical"},
		"making its own role":   {"CREATEROLE REPLICATION", []string{"GRANT CREATE ON DATABASE postgres TO %r"}, "logical"},
	} {
		t.Run(name, func(t *testing.T) {
			schema := pgtest.Schema(t)
			db := node(t, login(t, schema, c.attributes, c.grants...), dbms.Options{})
			if got := db.Status().History; got != c.history {
				t.Errorf("history by %q, want %q", got, c.history)
			}
			before := db.Status().LastLSN
			commit(t, db, func(tx dbms.Tx) error {
				if _, err := tx.Exec(dbms.SQL("CREATE TABLE t (v bigint PRIMARY KEY)")); err != nil {
					return err
				}
				_, err := tx.Exec(dbms.SQL("INSERT INTO t VALUES (1)"))
				return err
			})
			commits, err := db.Changes(t.Context(), before, 10)
			if err != nil || len(commits) != 1 || len(commits[0].Changes) != 2 {
				t.Errorf("changes: %+v, %v", commits, err)
			}
			if err := db.Expel(t.Context(), "nobody"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestMissingPrivilege: what is missing is named, with what to run.
func TestMissingPrivilege(t *testing.T) {
	for name, c := range map[string]struct {
		grants []string
		hint   string
	}{
		"no application role": {[]string{"GRANT CREATE ON DATABASE postgres TO %r"}, "CREATE ROLE"},
		"not a member":        {[]string{"CREATE ROLE %a NOLOGIN", "GRANT CREATE ON DATABASE postgres TO %r"}, "GRANT"},
		"no schema":           {[]string{"CREATE ROLE %a NOLOGIN", "GRANT %a TO %r"}, "grants"},
	} {
		t.Run(name, func(t *testing.T) {
			schema := pgtest.Schema(t)
			db, err := Open(t.Context(), login(t, schema, "", c.grants...), dbms.Options{})
			if err == nil {
				db.Close()
			}
			if abi.KindOf(err) != abi.Denied || !strings.Contains(abi.HintOf(err), c.hint) {
				t.Errorf("error %v, kind %q, hint %q; want kind %q and a hint with %q", err, abi.KindOf(err), abi.HintOf(err), abi.Denied, c.hint)
			}
		})
	}
}

// TestActsAgain: a session that failed the first time it changed its role
// changes it the next time.
func TestActsAgain(t *testing.T) {
	db := system(t, dbms.Options{}, "dbos_connections=8")
	commit(t, db, func(tx dbms.Tx) error {
		_, err := tx.Exec(dbms.SQL("CREATE TABLE own (v bigint)"))
		return err
	})
	services, own := dbms.System("UPDATE dbos_meta SET value = value"), dbms.SQL("INSERT INTO own VALUES (1)")
	const n = 40
	for i := range n {
		_, err := db.Update(t.Context(), abi.Call{Procedure: "test"}, func(tx dbms.Tx) error {
			for range 2 {
				if _, err := tx.Exec(services); err != nil {
					return err
				}
				if _, err := tx.Exec(own); err != nil {
					return err
				}
			}
			if i%2 == 0 {
				_, err := tx.Exec(dbms.SQL("INSERT INTO nowhere VALUES (1)"))
				return err
			}
			return nil
		})
		if (err != nil) != (i%2 == 0) || err != nil && abi.KindOf(err) != abi.Invalid {
			t.Fatalf("transaction %d: %v", i, err)
		}
		if _, err := db.Update(t.Context(), abi.Call{Procedure: "test"}, func(tx dbms.Tx) error {
			_, err := tx.Exec(dbms.SQL("UPDATE dbos_meta SET value = value"))
			return err
		}); abi.KindOf(err) != abi.Denied {
			t.Fatalf("an application that writes a system's table: %v", err)
		}
	}
	if got, err := value(t, db, "SELECT count(*) FROM own"); err != nil || got != int64(n) {
		t.Errorf("%v rows, error %v; want %d", got, err, n)
	}
}
