//go:build cgo

package warehouse

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Status describes the warehouse. Numbers that cannot be found out, because it
// has been closed, are 0.
func (w *Warehouse) Status() Status {
	ctx := context.Background()
	st, c := w.now()
	status := Status{Dir: w.dir, Oldest: st.Oldest, Newest: st.Position, Gaps: st.Gaps, Tables: len(c.current)}
	w.mu.Lock()
	status.Spooled, status.SpoolTime, status.SpoolChanges = w.spooled.at, w.spooled.took, w.spooled.changes
	status.Sealed, status.Segments = w.archive.newest(), len(w.archive.Segments)
	w.mu.Unlock()
	status.Archive = sizeOf(filepath.Join(w.dir, segmentsName))
	status.Bytes = status.Archive + fileSize(w.file()) + fileSize(w.file()+".wal")
	s, ctx, err := w.session(ctx, "warehouse.status")
	if err != nil {
		return status
	}
	defer w.finish(s)
	count := func(tables func(t *table) string) (n int64) {
		parts := []string{"SELECT 0 AS n"}
		for _, t := range c.tables {
			parts = append(parts, fmt.Sprintf("SELECT count(*) FROM %s", tables(t)))
		}
		row, err := s.one(ctx, "SELECT sum(n)::BIGINT FROM ("+strings.Join(parts, " UNION ALL ")+")")
		if err == nil && row != nil {
			n, _ = row[0].(int64)
		}
		return n
	}
	status.Rows, status.Versions = count((*table).live), count((*table).closed)
	if row, err := s.one(ctx, "SELECT count(*) FROM warehouse.commit"); err == nil && row != nil {
		status.Commits, _ = row[0].(int64)
	}
	return status
}

// file is the store's file.
func (w *Warehouse) file() string { return filepath.Join(w.dir, fileName) }

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// sizeOf is how many bytes the files below a directory have.
func sizeOf(dir string) (size int64) {
	filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			if info, err := e.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil
	})
	return size
}
