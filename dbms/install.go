package dbms

import (
	"context"
	"io/fs"
)

// A Schema is what an OS service brings to the database: its tables and its
// SQL.
type Schema struct {
	Owner string
	// Files has the migrations in the folder schema (LoadMigrations).
	Files fs.FS
	// Queries is the .sql source text of the service's statements.
	Queries string
}

// Install brings the service's tables up to date and binds its queries to the
// struct that queries points to (Bind).
func (s Schema) Install(ctx context.Context, db DB, queries any) error {
	if err := Bind(queries, s.Queries); err != nil {
		return err
	}
	steps, err := LoadMigrations(s.Files, "schema", db.Status().Engine)
	if err != nil {
		return err
	}
	return db.Migrate(ctx, Migrations{Owner: s.Owner, Steps: steps})
}
