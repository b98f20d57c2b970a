//go:build cgo

package warehouse

import (
	"context"

	"github.com/dbos-go/dbos/dbms"
)

func (w *Warehouse) base(ctx context.Context, db dbms.DB) error { return closedError("base") }
func (w *Warehouse) Status() Status { return Status{} }
func (w *Warehouse) Seal(ctx context.Context) error { return nil }
func (w *Warehouse) Expire(ctx context.Context) error { return nil }
func Rebuild(ctx context.Context, dir string, o Options, progress func(done, total int64)) error { return nil }
func (w *Warehouse) Describe(ctx context.Context, at dbms.LSN, text string) (Description, error) { return Description{}, nil }
