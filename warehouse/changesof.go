//go:build cgo

package warehouse

import (
	"cmp"
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// ChangesOf returns the rows that commits after one LSN and up to another changed (upto 0: the
// newest), in the order in which they were changed. What a dropped table's rows were is not among
// them.
func (w *Warehouse) ChangesOf(ctx context.Context, after, upto dbms.LSN) ([]Change, error) {
	const op = "warehouse.changes"
	upto, c, err := w.check(op, upto)
	if err != nil {
		return nil, err
	}
	if after != 0 {
		if _, _, err := w.check(op, after); err != nil {
			return nil, err
		}
	}
	if st, _ := w.now(); after < st.Oldest.LSN {
		return nil, abi.Errorf(op, abi.Trimmed, fmt.Sprintf("LSN %d", after), "history begins at %s", st.Oldest)
	}
	s, ctx, err := w.session(ctx, op)
	if err != nil {
		return nil, err
	}
	defer w.finish(s)
	touched, err := touchedTables(ctx, s, after, upto)
	if err != nil {
		return nil, err
	}
	var changes []Change
	for _, t := range c.tables {
		if !touched[t.id] {
			continue
		}
		if changes, err = t.changes(ctx, s, after, upto, changes); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(changes, func(a, b Change) int { return cmp.Compare(a.LSN, b.LSN) })
	return changes, nil
}

// touchedTables are the numbers of the tables in which something was changed.
func touchedTables(ctx context.Context, s *session, after, upto dbms.LSN) (map[int]bool, error) {
	touched := map[int]bool{}
	err := s.query(ctx, func(row []driver.Value) error {
		list, _ := row[0].(string)
		for id := range strings.FieldsSeq(list) {
			n, err := strconv.Atoi(id)
			if err != nil {
				return abi.Errorf("warehouse.changes", abi.Corrupt, "commits", "their tables are %q", list)
			}
			touched[n] = true
		}
		return nil
	}, `SELECT DISTINCT tables FROM warehouse.commit WHERE lsn > $1 AND tables IS NOT NULL
		AND lsn <= coalesce((SELECT min(lsn) FROM warehouse.commit WHERE lsn >= $2), $2)`, int64(after), int64(upto))
	return touched, err
}

// changes appends those of one table, between each two of its definitions.
func (t *table) changes(ctx context.Context, s *session, after, upto dbms.LSN, list []Change) ([]Change, error) {
	for i, d := range t.defs {
		from, to := max(after, d.LSN-1), upto
		if i+1 < len(t.defs) {
			to = min(to, t.defs[i+1].LSN-1)
		}
		if d.Dropped || from >= to {
			continue
		}
		var err error
		if list, err = t.changesOf(ctx, s, d, from, to, list); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// changesOf appends the changes within (from, to], while the table was defined as d.
func (t *table) changesOf(ctx context.Context, s *session, d *definition, from, to dbms.LSN, list []Change) ([]Change, error) {
	dec := newDecoder(t, d, d)
	text := fmt.Sprintf(`WITH ended AS (SELECT end_lsn, end_lsn + end_commit AS end_commit, end_op, key_odd, odd, %[1]s FROM %[3]s
			WHERE end_lsn > %[4]d AND end_lsn <= %[5]d AND end_op IN (%[8]d, %[9]d)),
		begun AS (SELECT lsn, lsn + commit AS commit, key_odd, odd, %[1]s FROM %[2]s WHERE lsn > %[4]d AND lsn <= %[5]d AND op <> %[10]d
			UNION ALL SELECT lsn, lsn + commit, key_odd, odd, %[1]s FROM %[3]s WHERE lsn > %[4]d AND lsn <= %[5]d AND op <> %[10]d)
		SELECT a.end_lsn, a.end_commit, b.lsn, b.commit, %[6]s, %[7]s FROM ended a FULL JOIN begun b ON a.end_lsn = b.lsn AND a.end_op = %[8]d AND %[11]s
		ORDER BY coalesce(b.lsn, a.end_lsn)`,
		t.physicalList(""), t.live(), t.closed(), from, to, dec.list("a."), dec.list("b."), opUpdate, opDelete, opBase, d.sameKey("a", "b", true))
	err := s.query(ctx, func(raw []driver.Value) error {
		ch := Change{Table: d.Name, Op: dbms.Update}
		var err error
		if raw[0] != nil {
			ch.LSN, ch.Commit = lsnOf(raw[0]), lsnOf(raw[1])
			if ch.Key, ch.Before, err = dec.row(raw[4 : 4+dec.width()]); err != nil {
				return err
			}
		}
		if raw[2] != nil {
			ch.LSN, ch.Commit = lsnOf(raw[2]), lsnOf(raw[3])
			if ch.Key, ch.After, err = dec.row(raw[4+dec.width():]); err != nil {
				return err
			}
		}
		switch {
		case ch.Before == nil:
			ch.Op = dbms.Insert
		case ch.After == nil:
			ch.Op = dbms.Delete
		}
		list = append(list, ch)
		return nil
	}, text)
	return list, err
}

func lsnOf(v driver.Value) dbms.LSN {
	n, _ := v.(int64)
	return dbms.LSN(n)
}
