//go:build !cgo

package warehouse

import (
	"context"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Available says whether this build has the column store.
const Available = false

// unsupported is what everything answers in a build without cgo.
func unsupported(op string) error {
	return abi.Errorf(op, abi.Unsupported, "warehouse", "this build has no column store").
		WithHint("build it with CGO_ENABLED=1 and a C compiler (gcc) to have history in SQL")
}

// A Warehouse is the history of one database. This build has none.
type Warehouse struct{}

// Open returns abi.Unsupported.
func Open(context.Context, string, Options) (*Warehouse, error) {
	return nil, unsupported("warehouse.open")
}

// Rebuild returns abi.Unsupported.
func Rebuild(context.Context, string, Options, func(done, total int64)) error {
	return unsupported("warehouse.rebuild")
}

// Close does nothing.
func (w *Warehouse) Close() error { return nil }

// Spool returns abi.Unsupported.
func (w *Warehouse) Spool(context.Context, dbms.DB, dbms.LSN) (dbms.LSN, error) {
	return 0, unsupported("warehouse.spool")
}

// Position returns the zero Moment.
func (w *Warehouse) Position() Moment { return Moment{} }

// Oldest returns the zero Moment.
func (w *Warehouse) Oldest() Moment { return Moment{} }

// Status returns the zero Status.
func (w *Warehouse) Status() Status { return Status{} }

// LSNAt returns abi.Unsupported.
func (w *Warehouse) LSNAt(context.Context, time.Time) (dbms.LSN, error) {
	return 0, unsupported("warehouse.lsn")
}

// Query returns abi.Unsupported.
func (w *Warehouse) Query(context.Context, dbms.LSN, string, ...any) (*Rows, error) {
	return nil, unsupported("warehouse.query")
}

// Describe returns abi.Unsupported.
func (w *Warehouse) Describe(context.Context, dbms.LSN, string) (Description, error) {
	return Description{}, unsupported("warehouse.describe")
}

// Rows are the result of Query. This build has none.
type Rows struct{}

// Columns returns nil.
func (r *Rows) Columns() []Column { return nil }

// Next returns false.
func (r *Rows) Next() bool { return false }

// Values returns nil.
func (r *Rows) Values() []any { return nil }

// Err returns nil.
func (r *Rows) Err() error { return nil }

// Close does nothing.
func (r *Rows) Close() error { return nil }

// Tables returns abi.Unsupported.
func (w *Warehouse) Tables(context.Context, dbms.LSN) ([]Table, error) {
	return nil, unsupported("warehouse.tables")
}

// Rows returns abi.Unsupported.
func (w *Warehouse) Rows(context.Context, string, dbms.LSN, func(key, row []dbms.Value) error) error {
	return unsupported("warehouse.rows")
}

// Row returns abi.Unsupported.
func (w *Warehouse) Row(context.Context, string, []dbms.Value, dbms.LSN) ([]dbms.Value, error) {
	return nil, unsupported("warehouse.row")
}

// Diff returns abi.Unsupported.
func (w *Warehouse) Diff(context.Context, string, dbms.LSN, dbms.LSN, func(Difference) error) error {
	return unsupported("warehouse.diff")
}

// Commits returns abi.Unsupported.
func (w *Warehouse) Commits(context.Context, Filter) ([]Commit, error) {
	return nil, unsupported("warehouse.commits")
}

// ChangesOf returns abi.Unsupported.
func (w *Warehouse) ChangesOf(context.Context, dbms.LSN, dbms.LSN) ([]Change, error) {
	return nil, unsupported("warehouse.changes")
}

// Seal returns abi.Unsupported.
func (w *Warehouse) Seal(context.Context) error { return unsupported("warehouse.seal") }

// Expire returns abi.Unsupported.
func (w *Warehouse) Expire(context.Context) error { return unsupported("warehouse.expire") }

// Supported is Available.
const Supported = Available
