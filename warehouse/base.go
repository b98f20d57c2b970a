//go:build cgo

package warehouse

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// baseProcedure is what prov.calls has in the place of the calls that are not known.
const baseProcedure = "warehouse.base"

// base brings the warehouse to the database's state of now by a snapshot of all
// tables. If it is new, history begins there; if not, there is a gap: what is not
// the same as before has changed at some time between.
func (w *Warehouse) base(ctx context.Context, db dbms.DB) error {
	var a *applier
	var b *snapshot
	open := false
	rollback := func() {
		if open {
			w.writer.exec(context.WithoutCancel(ctx), "ROLLBACK")
			open = false
		}
	}
	err := db.View(ctx, func(tx dbms.Tx) error {
		rollback() // of an attempt before
		if _, err := w.writer.exec(ctx, "BEGIN TRANSACTION"); err != nil {
			return err
		}
		open = true
		a = w.newApplier()
		a.whole = true
		b = &snapshot{a: a, tx: tx, db: db, now: Moment{LSN: tx.LSN(), Time: tx.Now()}}
		return b.take(ctx)
	})
	if err == nil {
		err = w.based(ctx, b.now)
	}
	if err != nil {
		rollback()
		return err
	}
	if _, err := w.writer.exec(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		return err
	}
	return w.load(ctx)
}

// based records that history goes on at a snapshot.
func (w *Warehouse) based(ctx context.Context, now Moment) error {
	st, _ := w.now()
	if st.Position.LSN == 0 {
		if err := w.setMoment(ctx, "oldest", now); err != nil {
			return err
		}
	} else {
		w.o.Logger.Warn("warehouse: the database had trimmed history before it was spooled; moments within the gap cannot be asked for",
			"after", st.Position.String(), "upto", now.String())
		_, err := w.writer.exec(ctx, `INSERT INTO warehouse.gap VALUES ($1, $2, $3, $4)`,
			int64(st.Position.LSN), timeValue(st.Position.Time), int64(now.LSN), timeValue(now.Time))
		if err != nil {
			return err
		}
	}
	_, err := w.writer.exec(ctx, `INSERT INTO warehouse.commit VALUES ($1, $2, $3, 'system', '', 0, '', $2, $1, NULL, NULL)`,
		int64(now.LSN), timeValue(now.Time), baseProcedure)
	if err != nil {
		return err
	}
	if _, err := w.writer.exec(ctx, `UPDATE warehouse.state SET lsn = 0, value = '0' WHERE key = 'partial'`); err != nil {
		return err
	}
	return w.setMoment(ctx, "position", now)
}

// A snapshot is being taken.
type snapshot struct {
	a   *applier
	tx  dbms.Tx
	db  dbms.DB
	now Moment
}

func (b *snapshot) take(ctx context.Context) error {
	defs, err := b.db.Tables(b.tx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for i := range defs {
		there[defs[i].Table] = true
	}
	for name, t := range b.a.edit().current {
		if !there[name] {
			if err := b.a.dropped(ctx, t, b.now.LSN, b.now.LSN, opBase); err != nil {
				return err
			}
		}
	}
	for i := range defs {
		d := &defs[i]
		t := b.a.catalog.current[d.Table]
		if t == nil || !slices.Equal(t.last().Columns, d.Columns) || !slices.Equal(t.last().Keys, d.KeyColumns) || !slices.Equal(t.last().Types, d.Types) {
			made := *d
			made.LSN, made.Op = b.now.LSN, dbms.Define
			if err := b.a.defined(ctx, b.now.LSN, &made); err != nil {
				return err
			}
			t = b.a.catalog.current[d.Table]
		}
		if err := b.table(ctx, t); err != nil {
			return fmt.Errorf("table %s: %w", d.Table, err)
		}
	}
	return nil
}

// table takes the rows of one table. They are put beside the live ones, so that only
// what is not the same becomes a new version.
func (b *snapshot) table(ctx context.Context, t *table) error {
	s := b.a.s
	if _, err := s.exec(ctx, fmt.Sprintf("CREATE OR REPLACE TEMP TABLE found AS SELECT * FROM %s LIMIT 0", t.live())); err != nil {
		return err
	}
	if err := b.read(ctx, t); err != nil {
		return err
	}
	same := t.last().sameKey("l", "f", true) + " AND l.odd IS NOT DISTINCT FROM f.odd"
	for _, p := range t.last().Physical {
		same += fmt.Sprintf(" AND l.%[1]s IS NOT DISTINCT FROM f.%[1]s", physicalName(p))
	}
	for _, text := range []string{
		fmt.Sprintf(`INSERT INTO %s (lsn, commit, op, odd, key_odd, end_lsn, end_commit, end_op, %s)
			SELECT lsn, commit, op, odd, key_odd, %d, 0, %d, %s FROM %s l WHERE NOT EXISTS (SELECT 1 FROM found f WHERE %s)`,
			t.closed(), t.physicalList(""), b.now.LSN, opBase, t.physicalList("l."), t.live(), same),
		fmt.Sprintf(`DELETE FROM %s l WHERE NOT EXISTS (SELECT 1 FROM found f WHERE %s)`, t.live(), same),
		fmt.Sprintf(`INSERT INTO %s SELECT * FROM found f WHERE NOT EXISTS (SELECT 1 FROM %s l WHERE %s)`, t.live(), t.live(), same),
		"DROP TABLE found",
	} {
		if _, err := s.exec(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// read puts the rows of a table as the snapshot sees it into the temporary table found.
func (b *snapshot) read(ctx context.Context, t *table) error {
	d := t.last()
	columns := make([]string, 0, len(d.Columns)+1)
	for _, c := range d.Columns {
		columns = append(columns, quote(c))
	}
	if d.keyless() {
		columns = append(columns, b.identity(d))
	}
	rows, err := b.tx.Query(dbms.System(fmt.Sprintf("SELECT %s FROM %s", strings.Join(columns, ", "), quote(d.Name))))
	if err != nil {
		return err
	}
	defer rows.Close()
	values := make([]any, len(columns))
	dest := make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	keys := make([]int, len(d.Keys)) // where their values are in a row
	for i, k := range d.Keys {
		if keys[i] = slices.Index(d.Columns, k); keys[i] < 0 {
			keys[i] = len(d.Columns)
		}
	}
	e := newEncoder(t)
	err = b.a.fill(ctx, "temp", "found", nil, func(add func(...driver.Value) error) error {
		v := version{lsn: b.now.LSN, op: opBase, row: make([]dbms.Value, len(d.Columns)), key: make([]dbms.Value, len(keys))}
		for rows.Next() {
			if err := rows.Scan(dest...); err != nil {
				return err
			}
			for i := range v.row {
				v.row[i] = values[i]
			}
			for i, k := range keys {
				v.key[i] = values[k]
			}
			if err := add(e.all(&v)...); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	return err
}

// identity is the expression of what identifies the rows of a table without a key.
func (b *snapshot) identity(d *definition) string {
	if b.a.catalog.engine != "sqlite" {
		return "ctid::text"
	}
	for _, name := range []string{"rowid", "_rowid_", "oid"} {
		if !slices.ContainsFunc(d.Columns, func(c string) bool { return strings.EqualFold(c, name) }) {
			return name
		}
	}
	return "rowid"
}
