//go:build cgo

package warehouse

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dbos-go/dbos/dbms"
)

// Expire forgets history that is older than Options.Retention, and as much more of the oldest as
// Options.MaxBytes asks for. Versions that are valid still are kept, and who made
// them. The archive follows: when enough of it is too old, one base takes the place
// of the segments before it.
func (w *Warehouse) Expire(ctx context.Context) error {
	if err := w.take(ctx, "warehouse.expire"); err != nil {
		return err
	}
	defer w.give()
	if w.o.Retention > 0 {
		end, err := w.lastBefore(ctx, w.o.Now().Add(-w.o.Retention))
		if err != nil {
			return err
		}
		if err := w.forget(ctx, end); err != nil {
			return err
		}
	}
	if w.o.MaxBytes <= 0 {
		return nil
	}
	return w.shrink(ctx)
}

// lastBefore is the newest commit before a time.
func (w *Warehouse) lastBefore(ctx context.Context, t time.Time) (Moment, error) {
	return w.momentBy(ctx, "SELECT lsn, time FROM warehouse.commit WHERE time < $1 ORDER BY lsn DESC LIMIT 1", t.UTC())
}

func (w *Warehouse) momentBy(ctx context.Context, text string, args ...any) (Moment, error) {
	row, err := w.writer.one(ctx, text, args...)
	if err != nil || row == nil {
		return Moment{}, err
	}
	return Moment{LSN: lsnOf(row[0]), Time: timeOf(row[1])}, nil
}

// rounds is how often shrink tries: how much a part of history takes can only
// be guessed.
const rounds = 6

// shrink forgets the oldest part of history until the warehouse is small enough, or
// nothing is left to forget.
func (w *Warehouse) shrink(ctx context.Context) error {
	before := int64(math.MaxInt64)
	for range rounds {
		size, err := w.used(ctx)
		if err != nil || size <= w.o.MaxBytes {
			return err
		}
		// The store frees whole groups of rows, so that what was forgotten may still take its place. It
		// will not be helped by forgetting more at once.
		if float64(size) > 0.98*float64(before) {
			return nil
		}
		before = size
		st, _ := w.now()
		part := min(1, 1.2*float64(size-w.o.MaxBytes)/float64(size)+0.02)
		end, err := w.momentBy(ctx, fmt.Sprintf(`SELECT lsn, time FROM warehouse.commit WHERE lsn > %d ORDER BY lsn
			LIMIT 1 OFFSET (SELECT greatest(0, (count(*) * %f)::BIGINT - 1) FROM warehouse.commit WHERE lsn > %d)`, st.Oldest.LSN, part, st.Oldest.LSN))
		if err != nil {
			return err
		}
		if end.LSN <= st.Oldest.LSN {
			return nil
		}
		if err := w.forget(ctx, end); err != nil {
			return err
		}
	}
	return nil
}

// used is how much of the disk the warehouse needs: free blocks within the file are
// used again, and not counted.
func (w *Warehouse) used(ctx context.Context) (int64, error) {
	if _, err := w.writer.exec(ctx, "CHECKPOINT warehouse"); err != nil {
		w.o.Logger.Debug("warehouse: a checkpoint has to wait", "error", err) // for who reads
	}
	row, err := w.writer.one(ctx, `SELECT (used_blocks * block_size)::BIGINT FROM pragma_database_size() WHERE database_name = 'warehouse'`)
	if err != nil || row == nil {
		return 0, err
	}
	n, _ := row[0].(int64)
	for i := range w.archive.Segments {
		n += w.archive.Segments[i].bytes()
	}
	return n + fileSize(w.file()+".wal"), nil
}

// forget makes a moment the oldest that can be asked for.
func (w *Warehouse) forget(ctx context.Context, end Moment) error {
	st, c := w.now()
	if end.LSN <= st.Oldest.LSN {
		return nil
	}
	if err := w.rebase(ctx, c, end.LSN); err != nil {
		return err
	}
	err := w.transact(ctx, func() error {
		var began []string
		for _, t := range c.tables {
			if _, err := w.writer.exec(ctx, fmt.Sprintf("DELETE FROM %s WHERE end_lsn <= %d", t.closed(), end.LSN)); err != nil {
				return err
			}
			began = append(began, "SELECT lsn + commit FROM "+t.live(), "SELECT lsn + commit FROM "+t.closed())
		}
		keep := "SELECT -1::BIGINT"
		if len(began) > 0 {
			keep = strings.Join(began, " UNION ALL ")
		}
		// The state at the moment itself can be asked for, so its commit stays.
		for _, name := range []string{"statement", "read", "commit"} {
			if _, err := w.writer.exec(ctx, fmt.Sprintf("DELETE FROM warehouse.%s WHERE lsn < %d AND lsn NOT IN (%s)", name, end.LSN, keep)); err != nil {
				return err
			}
		}
		if _, err := w.writer.exec(ctx, fmt.Sprintf("DELETE FROM warehouse.gap WHERE upto <= %d", end.LSN)); err != nil {
			return err
		}
		return w.setMoment(ctx, "oldest", end)
	})
	if err != nil {
		return err
	}
	return w.load(ctx)
}

// rebase puts a base in the place of the archive's segments up to an LSN, if they take
// more than what is kept.
func (w *Warehouse) rebase(ctx context.Context, c *catalog, end dbms.LSN) error {
	a := w.archive
	var old, kept int64
	n := 0 // segments that are too old
	for i := range a.Segments {
		if a.Segments[i].Upto.LSN <= end {
			n, old = i+1, old+a.Segments[i].bytes()
		} else {
			kept += a.Segments[i].bytes()
		}
	}
	if n == 0 || n == 1 && a.Segments[0].Base || old < kept/4 {
		return nil
	}
	s := segmentWriter{w: w, c: c, base: true, upto: a.Segments[n-1].Upto}
	made, err := s.write(ctx)
	if err != nil {
		return err
	}
	a.Segments = append([]segment{made}, a.Segments[n:]...)
	for len(a.Gaps) > 0 && a.Gaps[0].Upto.LSN <= made.Upto.LSN {
		a.Gaps = a.Gaps[1:]
	}
	return w.archived(a)
}
