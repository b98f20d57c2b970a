package prov

import (
	"context"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/warehouse"
)

// Rebuild makes the warehouse's file again from its archive, and spools what has
// been committed since. Nobody can ask it meanwhile; what goes on in the database does
// not wait. After an error the old file is there. progress may be nil.
func (s *Service) Rebuild(ctx context.Context, progress func(Progress)) error {
	f := s.follower.Load()
	if f == nil {
		return abi.Errorf("prov.rebuild", abi.Unsupported, "history", "the database is not followed").
			WithHint("open the system with a warehouse, in a build with the column store (CGO_ENABLED=1)")
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	if err := f.rebuild(ctx, progress); err != nil {
		return err
	}
	_, err := s.Flush(ctx)
	return err
}

// rebuild keeps the warehouse closed while it works.
func (f *follower) rebuild(ctx context.Context, progress func(Progress)) error {
	f.opening.Lock()
	defer f.opening.Unlock()
	if f.ctx.Err() != nil {
		return abi.Errorf("prov.rebuild", abi.Closed, "history", "it has been closed")
	}
	f.mu.Lock()
	w := f.past
	f.past = nil
	f.mu.Unlock()
	if w != nil {
		if err := w.Close(); err != nil {
			return err
		}
	}
	return warehouse.Rebuild(ctx, f.options.Dir, f.warehouseOptions(), func(done, total int64) { progress(Progress{Phase: "rebuilding", Rows: done, Total: total}) })
}
