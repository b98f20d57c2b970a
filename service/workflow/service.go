package workflow

import (
	"context"
	"embed"
	"io/fs"

	"github.com/dbos-go/dbos/dbms"
)

//go:embed schema/*.sql
var schema embed.FS

//go:embed queries.sql
var source string

// A Service is the journal of one database.
type Service struct {
	q queries
}

type queries struct {
	StepInsert, StepList, StepRetract, EventPut, EventGet, EventList *dbms.Query
}

// New brings the service's tables up to date and returns the service. The
// scheduler's tables must be there.
func New(ctx context.Context, db dbms.DB) (*Service, error) {
	s := &Service{}
	if err := dbms.Bind(&s.q, source); err != nil {
		return nil, err
	}
	steps, err := Migrations(db.Status().Engine)
	if err != nil {
		return nil, err
	}
	return s, db.Migrate(ctx, dbms.Migrations{Owner: "workflow", Steps: steps})
}

// Migrations returns the steps of the service's tables on an engine.
func Migrations(engine string) ([]dbms.Migration, error) {
	sub, err := fs.Sub(schema, "schema")
	if err != nil {
		return nil, err
	}
	return dbms.LoadMigrations(sub, ".", engine)
}

// Queries returns the service's statements by name, for the examiner.
func Queries() (map[string]*dbms.Query, error) { return dbms.ParseQueries(source) }
