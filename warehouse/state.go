//go:build cgo

package warehouse

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// The warehouse's own tables. A time is as the engine recorded it. What a table of the database has
// is in live_N and closed_N: see catalog and layout.
const ownTables = `
CREATE TABLE IF NOT EXISTS warehouse.state (key VARCHAR, lsn BIGINT, time TIMESTAMPTZ, value VARCHAR);
CREATE TABLE IF NOT EXISTS warehouse.gap (after BIGINT, after_at TIMESTAMPTZ, upto BIGINT, upto_at TIMESTAMPTZ);
CREATE TABLE IF NOT EXISTS warehouse.definition (table_id INTEGER, lsn BIGINT, n INTEGER, body VARCHAR);
CREATE TABLE IF NOT EXISTS warehouse.commit (lsn BIGINT, time TIMESTAMPTZ, procedure VARCHAR, principal VARCHAR, execution VARCHAR,
	step INTEGER, node VARCHAR, start TIMESTAMPTZ, snapshot BIGINT, note BLOB, tables VARCHAR);
CREATE TABLE IF NOT EXISTS warehouse.statement (lsn BIGINT, n INTEGER, text_id BIGINT, args VARCHAR, rows BIGINT, writes BOOLEAN, cut BOOLEAN,
	principal VARCHAR, execution VARCHAR, snapshot BIGINT, outside BOOLEAN);
CREATE TABLE IF NOT EXISTS warehouse.read (lsn BIGINT, "table" VARCHAR, key VARCHAR, principal VARCHAR, execution VARCHAR, snapshot BIGINT, outside BOOLEAN)`

// A state is what the warehouse knows of itself. It changes in the transaction
// that makes it true.
type state struct {
	Engine   string
	Position Moment
	Oldest   Moment
	Gaps     []Gap
	Begun    bool // something has been spooled
	// Partial is what is there already of the commit after Position.
	Partial partial
}

// A partial says that the first changes of a commit have been put into the store.
type partial struct {
	LSN     dbms.LSN
	Changes int
}

// moment parses and prints the rows of the table state.
func (s *state) moment(key string) *Moment {
	switch key {
	case "position":
		return &s.Position
	case "oldest":
		return &s.Oldest
	}
	return nil
}

// makeTables makes the warehouse's own tables.
func (w *Warehouse) makeTables(ctx context.Context) error {
	s := w.writer
	row, err := s.one(ctx, `SELECT count(*) FROM duckdb_tables() WHERE database_name = 'warehouse' AND table_name = 'state'`)
	if err != nil {
		return err
	}
	if row[0].(int64) > 0 {
		return w.checkFormat(ctx)
	}
	return w.transact(ctx, func() error {
		if _, err := s.exec(ctx, ownTables); err != nil {
			return err
		}
		_, err := s.exec(ctx, `INSERT INTO warehouse.state VALUES ('format', 0, NULL, $1), ('engine', 0, NULL, ''),
			('position', 0, NULL, ''), ('oldest', 0, NULL, ''), ('partial', 0, NULL, '0')`, strconv.Itoa(format))
		return err
	})
}

func (w *Warehouse) checkFormat(ctx context.Context) error {
	row, err := w.writer.one(ctx, `SELECT value FROM warehouse.state WHERE key = 'format'`)
	if err != nil {
		return err
	}
	if row == nil || row[0] != strconv.Itoa(format) {
		return abi.Errorf("warehouse.open", abi.Unsupported, "directory "+w.dir, "its format is %v, this program knows %d", row, format).
			WithHint("use the version of the program that made it, or a newer one")
	}
	return nil
}

// transact runs fn as one transaction of the writer's connection.
func (w *Warehouse) transact(ctx context.Context, fn func() error) error {
	if _, err := w.writer.exec(ctx, "BEGIN TRANSACTION"); err != nil {
		return err
	}
	// Whether a transaction has been committed must not be left open, so who
	// cancels does so before.
	err := fn()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		if _, rollback := w.writer.exec(context.WithoutCancel(ctx), "ROLLBACK"); rollback != nil {
			w.o.Logger.Warn("warehouse: rollback failed", "error", rollback)
		}
		return err
	}
	_, err = w.writer.exec(context.WithoutCancel(ctx), "COMMIT")
	return err
}

// load reads what the warehouse knows of itself.
func (w *Warehouse) load(ctx context.Context) error {
	var st state
	err := w.writer.query(ctx, func(row []driver.Value) error {
		key, _ := row[0].(string)
		if m := st.moment(key); m != nil {
			m.LSN = dbms.LSN(row[1].(int64))
			m.Time = timeOf(row[2])
		}
		switch key {
		case "engine":
			st.Engine, _ = row[3].(string)
		case "partial":
			st.Partial.LSN = dbms.LSN(row[1].(int64))
			st.Partial.Changes, _ = strconv.Atoi(row[3].(string))
		}
		return nil
	}, `SELECT key, lsn, time, value FROM warehouse.state`)
	if err != nil {
		return err
	}
	st.Begun = st.Engine != ""
	err = w.writer.query(ctx, func(row []driver.Value) error {
		st.Gaps = append(st.Gaps, Gap{
			After: Moment{LSN: dbms.LSN(row[0].(int64)), Time: timeOf(row[1])},
			Upto:  Moment{LSN: dbms.LSN(row[2].(int64)), Time: timeOf(row[3])},
		})
		return nil
	}, `SELECT after, after_at, upto, upto_at FROM warehouse.gap ORDER BY after`)
	if err != nil {
		return err
	}
	c := newCatalog(st.Engine)
	err = w.writer.query(ctx, func(row []driver.Value) error {
		d := &definition{}
		if err := json.Unmarshal([]byte(row[1].(string)), d); err != nil {
			return abi.Errorf("warehouse.open", abi.Corrupt, fmt.Sprintf("definition of table %v", row[0]), "%w", err)
		}
		c.load(int(row[0].(int32)), d)
		return nil
	}, `SELECT table_id, body FROM warehouse.definition ORDER BY n`)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state, w.catalog = st, c
	return nil
}

func timeOf(v driver.Value) time.Time {
	t, _ := v.(time.Time)
	return t.UTC()
}

// timeValue is how a time is written: the zero one as NULL.
func timeValue(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC()
}

// setMoment writes a moment of the state.
func (w *Warehouse) setMoment(ctx context.Context, key string, m Moment) error {
	_, err := w.writer.exec(ctx, `UPDATE warehouse.state SET lsn = $1, time = $2 WHERE key = $3`, int64(m.LSN), timeValue(m.Time), key)
	return err
}
