package dbmstest

import (
	"context"
	"testing"

	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/sqlite"
)

// SQLiteEngine is the embedded engine.
var SQLiteEngine = Engine{
	Name: "sqlite",
	Open: func(ctx context.Context, dir string, o dbms.Options) (dbms.DB, error) {
		db, err := sqlite.Open(ctx, dir, o)
		if err != nil {
			return nil, err
		}
		return db, nil
	},
	Dialect:   SQLite(),
	Directory: true,
}

// Engines are all engines: what every service's own suite runs on.
func Engines() []Engine { return []Engine{SQLiteEngine, PostgresEngine} }

// OnEngines runs a test on a new database of each engine, which is closed
// when the test ends. It is not durable against a power cut, for speed.
func OnEngines(t *testing.T, test func(t *testing.T, db dbms.DB)) {
	t.Helper()
	for _, e := range Engines() {
		t.Run(e.label(), func(t *testing.T) {
			e.Need(t)
			db, err := e.Open(t.Context(), t.TempDir(), dbms.Options{Durability: dbms.Async})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			test(t, db)
		})
	}
}

// PrepareSchema is Prepare of a service's schema, after the schemas of the
// services whose tables its queries read, on every engine.
func PrepareSchema(t *testing.T, s dbms.Schema, before ...dbms.Schema) {
	t.Helper()
	for _, e := range Engines() {
		t.Run(e.label(), func(t *testing.T) {
			e.Need(t)
			var migrations []dbms.Migrations
			for _, schema := range append(before, s) {
				steps, err := dbms.LoadMigrations(schema.Files, "schema", e.Name)
				if err != nil {
					t.Fatal(err)
				}
				migrations = append(migrations, dbms.Migrations{Owner: schema.Owner, Steps: steps})
			}
			Prepare(t, e, s.Queries, migrations...)
		})
	}
}
