package sqlite

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// trimBatch is how many rows one transaction of Trim deletes, so that others
// need not wait for it.
const trimBatch = 2000

var trimCall = abi.Call{Procedure: "dbms.trim", Principal: abi.System}

// Trim implements dbms.DB.
func (db *DB) Trim(ctx context.Context, before time.Time) (dbms.LSN, error) {
	h := db.writer.history
	upto, err := db.lastBefore(ctx, before)
	if err != nil || upto <= h.oldest.Load() {
		return dbms.LSN(h.oldest.Load()), err
	}
	_, err = db.Update(ctx, trimCall, func(t dbms.Tx) error {
		_, err := t.Exec(dbms.System("INSERT OR REPLACE INTO dbos_meta VALUES ('oldest', $1)"), upto)
		return err
	})
	if err != nil {
		return dbms.LSN(h.oldest.Load()), err
	}
	// Readers that began before see the rows in their snapshot; later ones
	// are refused before the rows go.
	h.oldest.Store(upto)
	return dbms.LSN(upto), db.sweep(ctx, upto)
}

// lastBefore returns the LSN of the last transaction before a time, or 0.
// Times grow along the LSNs, so it halves the range of LSNs.
func (db *DB) lastBefore(ctx context.Context, before time.Time) (int64, error) {
	var found int64
	err := db.View(ctx, func(t dbms.Tx) error {
		c := t.(*tx).conn
		low, high := db.writer.history.oldest.Load(), db.writer.last.Load()
		for low < high {
			middle := low + (high-low)/2
			var lsn, at int64
			err := c.scan("SELECT lsn, at FROM dbos_transaction WHERE lsn > $1 ORDER BY lsn LIMIT 1",
				func(r dbms.Rows) error { return r.Scan(&lsn, &at) }, middle)
			if err != nil {
				return err
			}
			if lsn == 0 || at >= before.UnixMicro() {
				high = middle
			} else {
				low, found = lsn, lsn
			}
		}
		return nil
	})
	return found, err
}

// sweep deletes history up to an LSN. The definition of a table that was in
// force then stays, because later rows need it.
func (db *DB) sweep(ctx context.Context, upto int64) error {
	var tables []string
	err := db.View(ctx, func(t dbms.Tx) error {
		return t.(*tx).conn.scan("SELECT DISTINCT name FROM dbos_definition", func(r dbms.Rows) error {
			var name string
			err := r.Scan(&name)
			tables = append(tables, name)
			return err
		})
	})
	if err != nil {
		return err
	}
	for _, name := range tables {
		if err := db.sweepTable(ctx, quote("h_"+name), "dbos_seq", upto); err != nil {
			return err
		}
	}
	if err := db.sweepTable(ctx, "dbos_transaction", "lsn", upto); err != nil {
		return err
	}
	_, err = db.Update(ctx, trimCall, func(t dbms.Tx) error {
		return t.(*tx).conn.script(`DELETE FROM dbos_definition AS d WHERE seq <= $1 AND EXISTS
			(SELECT 1 FROM dbos_definition AS n WHERE n.seq <= $1 AND n.seq > d.seq AND lower(n.name) = lower(d.name))`, upto)
	})
	return err
}

func (db *DB) sweepTable(ctx context.Context, table, number string, upto int64) error {
	for {
		var deleted int64
		_, err := db.Update(ctx, trimCall, func(t dbms.Tx) error {
			var err error
			deleted, err = t.Exec(dbms.System("DELETE FROM "+table+" WHERE "+number+" IN (SELECT "+number+
				" FROM "+table+" WHERE "+number+" <= $1 ORDER BY "+number+" LIMIT $2)"), upto, trimBatch)
			return err
		})
		if err != nil || deleted < trimBatch {
			return err
		}
	}
}

// A trimmer trims by age in the background.
type trimmer struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func startTrimmer(db *DB) *trimmer {
	ctx, cancel := context.WithCancel(context.Background())
	t := &trimmer{cancel: cancel}
	keep := db.options.Retention
	if keep == 0 {
		keep = dbms.DefaultRetention
	}
	if keep > 0 {
		t.done.Go(func() { t.run(ctx, db, keep) })
	}
	return t
}

func (t *trimmer) run(ctx context.Context, db *DB, keep time.Duration) {
	tick := time.NewTicker(min(max(keep/20, time.Second), 10*time.Minute))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := db.writer.clock.Now()
		if _, err := db.Trim(ctx, now.Add(-keep)); err != nil && ctx.Err() == nil {
			slog.Warn("trimming history failed", "error", err)
		}
	}
}

func (t *trimmer) stop() {
	t.cancel()
	t.done.Wait()
}
