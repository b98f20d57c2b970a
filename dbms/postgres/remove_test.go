package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// A removed system is gone with all that it had, and can be made again; what is
// no system is left alone.
func TestRemove(t *testing.T) {
	server := pgtest.Need(t)
	schema := pgtest.Schema(t)
	url := server.URL(schema)
	ctx := t.Context()
	for range 2 {
		db, err := postgres.Open(ctx, url, dbms.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.Update(ctx, abi.Call{Procedure: "test"}, func(tx dbms.Tx) error {
			_, err := tx.Exec(dbms.SQL("CREATE TABLE item (id BIGINT PRIMARY KEY)"))
			return err
		})
		if err := errors.Join(err, db.Close(), postgres.Remove(ctx, url)); err != nil {
			t.Fatal(err)
		}
		for what, sql := range map[string]string{
			"schema":      "SELECT nspname FROM pg_namespace WHERE nspname = '" + schema + "'",
			"role":        "SELECT rolname FROM pg_roles WHERE rolname = '" + schema + "_app'",
			"slot":        "SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE 'dbos_" + schema + "%'",
			"publication": "SELECT pubname FROM pg_publication WHERE pubname LIKE 'dbos_" + schema + "%'",
		} {
			if rows, err := server.Exec(ctx, sql); err != nil || len(rows) > 0 {
				t.Errorf("%s: %v, %v", what, rows, err)
			}
		}
	}
	if err := postgres.Remove(ctx, url); err != nil {
		t.Error("what is not there:", err)
	}
	if _, err := server.Exec(ctx, "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	defer server.Exec(context.Background(), "DROP SCHEMA "+schema)
	if err := postgres.Remove(ctx, url); !errors.Is(err, abi.Conflict) {
		t.Error("a schema that is no system:", err)
	}
}
