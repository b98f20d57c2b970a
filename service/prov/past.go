package prov

import (
	"context"
	"time"

	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// past is what restoring and copying need of a warehouse.
type past interface {
	Position() warehouse.Moment
	Oldest() warehouse.Moment
	Status() warehouse.Status
	Spool(ctx context.Context, db dbms.DB, upto dbms.LSN) (dbms.LSN, error)
	LSNAt(ctx context.Context, t time.Time) (dbms.LSN, error)
	Tables(ctx context.Context, at dbms.LSN) ([]warehouse.Table, error)
	Rows(ctx context.Context, table string, at dbms.LSN, fn func(key, row []dbms.Value) error) error
	Diff(ctx context.Context, table string, from, to dbms.LSN, fn func(warehouse.Difference) error) error
	Commits(ctx context.Context, f warehouse.Filter) ([]warehouse.Commit, error)
	Seal(ctx context.Context) error
	Expire(ctx context.Context) error
	Close() error
}
