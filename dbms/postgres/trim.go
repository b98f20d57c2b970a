package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dbos-go/dbos/dbms"
)

const (
	// trimBatch is how many rows one transaction of trimming deletes, so that
	// others need not wait for it.
	trimBatch = 5000
	// defaultWALLimit is how much of the server's log is kept for readers.
	defaultWALLimit = 4 << 30
)

// trim implements DB.Trim.
func (h *history) trim(ctx context.Context, before time.Time) (dbms.LSN, error) {
	state, err := h.state(ctx, h.sql)
	if err != nil {
		return h.oldestLSN(), err
	}
	h.oldest.Store(state.oldest)
	last, err := h.barrier(ctx)
	if err != nil || !state.ready {
		return h.oldestLSN(), err
	}
	upto, err := h.lastBefore(ctx, before, state.oldest, int64(last))
	if err != nil || upto <= state.oldest {
		return h.oldestLSN(), err
	}
	place, err := h.placeOf(ctx, dbms.LSN(upto))
	if err != nil {
		return h.oldestLSN(), err
	}
	return h.forget(ctx, dbms.LSN(upto), place)
}

// lastBefore returns the LSN of the last transaction before a time, or 0.
// Times grow along the LSNs, so it halves the range of LSNs.
func (h *history) lastBefore(ctx context.Context, before time.Time, low, high int64) (int64, error) {
	var found int64
	for low < high {
		middle := low + (high-low)/2
		rows, err := h.sql.query(ctx, "SELECT lsn, at FROM dbos_transaction WHERE lsn > $1 ORDER BY lsn LIMIT 1", middle)
		if err != nil {
			return 0, err
		}
		if len(rows) == 0 || rows[0][1].(int64) >= before.UnixMicro() {
			high = middle
			continue
		}
		low = rows[0][0].(int64)
		found = low
	}
	return min(found, high), nil
}

// forget gives history up to an LSN up. No later commit is before the place in
// the server's log.
func (h *history) forget(ctx context.Context, upto dbms.LSN, place string) (dbms.LSN, error) {
	var oldest int64
	h.turn.Lock()
	err := h.transact(ctx, func(tx executor) error {
		if err := h.setupLock(ctx, tx); err != nil {
			return err
		}
		state, err := h.state(ctx, tx)
		if err != nil {
			return err
		}
		if oldest = max(state.oldest, int64(upto)); oldest == state.oldest {
			return nil // another node has trimmed more
		}
		return h.setOldest(ctx, tx, upto, place)
	})
	h.turn.Unlock()
	if err != nil {
		return h.oldestLSN(), err
	}
	// Readers are refused before the rows go.
	h.oldest.Store(oldest)
	return dbms.LSN(oldest), h.sweep(ctx)
}

// sweep removes what is left of history that has been given up.
func (h *history) sweep(ctx context.Context) error {
	state, err := h.state(ctx, h.sql)
	if err != nil || !state.ready {
		return err
	}
	if err := h.sweepDefinitions(ctx, state.oldest); err != nil {
		return err
	}
	if err := h.sweepTables(ctx, state.oldest); err != nil {
		return err
	}
	err = h.inBatches(ctx, "DELETE FROM dbos_transaction WHERE lsn IN (SELECT lsn FROM dbos_transaction WHERE lsn <= $1 ORDER BY lsn LIMIT $2)", state.oldest)
	if err != nil || state.capture != captureLogical {
		return err
	}
	_, err = h.sql.query(ctx, `SELECT pg_replication_slot_advance($1, least($2::pg_lsn, pg_current_wal_flush_lsn())) FROM pg_replication_slots
		WHERE slot_name = $1 AND confirmed_flush_lsn < least($2::pg_lsn, pg_current_wal_flush_lsn())`, h.slot, state.wal)
	if stateOf(err) == stateObjectInUse {
		return nil // another node does it, or the next time does
	}
	return err
}

// sweepDefinitions removes the definitions that later ones have superseded.
// What was in force at the end stays, because later changes need it.
func (h *history) sweepDefinitions(ctx context.Context, upto int64) error {
	if err := h.stamp(ctx); err != nil {
		return err
	}
	return h.sql.exec(ctx, `DELETE FROM dbos_definition d WHERE lsn <= $1 AND (op = 'drop' OR EXISTS
		(SELECT FROM dbos_definition n WHERE n.relid = d.relid AND n.lsn <= $1 AND n.n > d.n))`, upto)
}

// sweepTables removes recorded changes: those of transactions older than all
// whose changes may still be asked for.
func (h *history) sweepTables(ctx context.Context, upto int64) error {
	rows, err := h.sql.query(ctx, `SELECT least(pg_snapshot_xmin(pg_current_snapshot())::text::bigint, (SELECT min(xid) FROM dbos_transaction WHERE lsn > $1))`, upto)
	if err != nil {
		return err
	}
	oldest := rows[0][0].(int64)
	rows, err = h.sql.query(ctx, `SELECT c.relname, EXISTS (SELECT FROM dbos_definition d WHERE d.history = c.oid::bigint AND d.op <> 'drop')
		FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' AND c.relname LIKE 'h\_%'
		AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'dbos_xid')`, h.schema)
	for _, r := range rows {
		name := quoteName(r[0].(string))
		if r[1] != int64(1) && err == nil {
			err = h.sql.exec(ctx, fmt.Sprintf("DO $d$ BEGIN DROP TABLE IF EXISTS %s; DROP FUNCTION IF EXISTS %s(); END $d$", name, name))
			continue
		}
		if err == nil {
			err = h.inBatches(ctx, "DELETE FROM "+name+" WHERE ctid = ANY (ARRAY(SELECT ctid FROM "+name+" WHERE dbos_xid < $1 LIMIT $2))", oldest)
		}
	}
	return err
}

// inBatches deletes rows until there are none; the statement's second
// parameter is how many at a time.
func (h *history) inBatches(ctx context.Context, sql string, upto int64) error {
	for {
		rows, err := h.sql.query(ctx, "WITH gone AS ("+sql+" RETURNING 1) SELECT count(*) FROM gone", upto, int64(trimBatch))
		if err != nil || rows[0][0].(int64) < trimBatch {
			return err
		}
	}
}

// retain trims by age, and keeps the server's log within its limit.
func (h *history) retain(ctx context.Context) {
	pause := 10 * time.Minute
	if h.retention > 0 {
		pause = min(max(h.retention/20, time.Second), pause)
	}
	log := time.NewTicker(logPause)
	defer log.Stop()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	warned := false
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if h.retention > 0 {
				_, err = h.trim(ctx, h.now().Add(-h.retention))
			}
		case <-log.C:
			h.closeIdle(idleTime)
			warned, err = h.watchLog(ctx, warned)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			h.warn("trimming history failed", "error", err)
		}
	}
}

// logPause is how often it is looked how much of its log the server keeps.
const logPause = 30 * time.Second

// watchLog looks how much of its log the server keeps for readers. It warns
// at half of the limit, and gives old history up before the limit is passed,
// rather than let the disk fill.
func (h *history) watchLog(ctx context.Context, warned bool) (bool, error) {
	if state, err := h.state(ctx, h.sql); err != nil || state.capture != captureLogical {
		return false, err
	}
	// The sooner a lost slot is made anew, the smaller the gap.
	if err := h.keepSlot(ctx); err != nil {
		return false, err
	}
	rows, err := h.sql.query(ctx, `SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn)::bigint,
		pg_wal_lsn_diff(pg_current_wal_insert_lsn(), confirmed_flush_lsn)::bigint
		FROM pg_replication_slots WHERE slot_name = $1 AND restart_lsn IS NOT NULL`, h.slot)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	kept, own := rows[0][0].(int64), rows[0][1].(int64)
	if kept <= h.walLimit/2 {
		return false, nil
	}
	if !warned {
		h.warn("the server keeps much of its write-ahead log for history", "bytes", kept, "limit", h.walLimit, "slot", h.slot,
			"remedy", "keep history for a shorter time (Retention); beyond the limit the oldest is given up")
	}
	if kept <= h.walLimit {
		return true, nil
	}
	if own <= h.walLimit/2 {
		return true, nil // a transaction that has been running for long holds the log, not history
	}
	return true, h.trimLog(ctx, h.walLimit/2)
}

// trimLog gives history up until the server need keep no more than so many
// bytes of its log.
func (h *history) trimLog(ctx context.Context, keep int64) error {
	rows, err := h.sql.query(ctx, "SELECT (pg_current_wal_insert_lsn() - $1::bigint)::text, pg_current_wal_insert_lsn()::text", keep)
	if err != nil {
		return err
	}
	limit, now := rows[0][0].(string), rows[0][1].(string)
	last, err := h.barrier(ctx)
	if err != nil {
		return err
	}
	rows, err = h.sql.query(ctx, `SELECT max(lsn), (SELECT count(*) FROM dbos_transaction WHERE wal > $1::pg_lsn AND lsn <= $2)
		FROM dbos_transaction WHERE wal <= $1::pg_lsn AND lsn <= $2`, limit, int64(last))
	if err != nil {
		return err
	}
	upto, place := dbms.LSN(0), ""
	switch {
	case rows[0][1] == int64(0):
		upto, place = last, now // nothing of the system's is behind it
	case rows[0][0] != nil:
		upto, place = dbms.LSN(rows[0][0].(int64)), limit // every later commit has begun its end behind it
	default:
		return nil
	}
	h.warn("old history is given up to bound the server's write-ahead log", "lsn", upto, "limit", h.walLimit)
	_, err = h.forget(ctx, upto, place)
	return err
}
