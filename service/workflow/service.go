package workflow

import (
	"context"
	"embed"

	"github.com/dbos-go/dbos/dbms"
)

//go:embed schema/*.sql
var files embed.FS

//go:embed queries.sql
var source string

// Schema is what the service brings to a database.
func Schema() dbms.Schema {
	return dbms.Schema{Owner: "workflow", Files: files, Queries: source}
}

// A Service is the journal of one database.
type Service struct {
	q      queries
	db     dbms.DB
	shared dbms.Gatherer // db, if many machines share it, or nil
}

type queries struct {
	StepInsert, StepGet, StepList, StepRetract, EventPut, EventGet, EventList *dbms.Query

	StepRecord *dbms.Query // of engines that many machines share
}

// New brings the service's tables up to date and returns the service. The
// scheduler's tables must be there.
func New(ctx context.Context, db dbms.DB) (*Service, error) {
	s := &Service{db: db}
	s.shared, _ = db.(dbms.Gatherer)
	if err := Schema().Install(ctx, db, &s.q); err != nil {
		return nil, err
	}
	return s, nil
}
