//go:build cgo

package warehouse

import (
	"context"
	"fmt"
	"strings"
)

// What ended a version, or began it.
const (
	opInsert = 1
	opUpdate = 2
	opDelete = 3
	opDrop   = 4 // with its table
	opBase   = 5 // found there, or gone, after a gap
)

// Columns of the tables in the column store before those of the table itself. lsn and end_lsn
// are those of the changes; commit is how much greater the LSN of the change's transaction is.
// odd holds the exact values of cells that do not fit, and key_odd those of the key.
const (
	liveColumns   = `odd VARCHAR, key_odd VARCHAR, lsn BIGINT, commit UINTEGER, op UTINYINT`
	closedColumns = `odd VARCHAR, key_odd VARCHAR, lsn BIGINT, commit UINTEGER, op UTINYINT, end_lsn BIGINT, end_commit UINTEGER, end_op UTINYINT`
)

const (
	oddNumber    = 2 // columns at the beginning that are seldom anything
	liveNumber   = 5 // columns of liveColumns
	closedNumber = 8
)

func (t *table) live() string   { return fmt.Sprintf("warehouse.live_%d", t.id) }
func (t *table) closed() string { return fmt.Sprintf("warehouse.closed_%d", t.id) }

// physicalList returns the names of the table's columns.
func (t *table) physicalList(prefix string) string {
	names := make([]string, len(t.columns))
	for i := range t.columns {
		names[i] = prefix + physicalName(i)
	}
	return strings.Join(names, ", ")
}

// create makes the two tables.
func (t *table) create(ctx context.Context, s *session) error {
	var columns strings.Builder
	for i, c := range t.columns {
		fmt.Fprintf(&columns, ", %s %s", physicalName(i), c.stored())
	}
	if _, err := s.exec(ctx, fmt.Sprintf("CREATE TABLE %s (%s%s)", t.live(), liveColumns, columns.String())); err != nil {
		return err
	}
	_, err := s.exec(ctx, fmt.Sprintf("CREATE TABLE %s (%s%s)", t.closed(), closedColumns, columns.String()))
	return err
}

// widen adds the columns from the n-th on to the two tables.
func (t *table) widen(ctx context.Context, s *session, n int) error {
	for ; n < len(t.columns); n++ {
		for _, name := range []string{t.live(), t.closed()} {
			if _, err := s.exec(ctx, fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s", name, physicalName(n), t.columns[n].stored())); err != nil {
				return err
			}
		}
	}
	return nil
}

// plainColumns are the names of the columns without odd and key_odd.
func (t *table) plainColumns(closed bool) []string {
	names := []string{"lsn", "commit", "op"}
	if closed {
		names = append(names, "end_lsn", "end_commit", "end_op")
	}
	for i := range t.columns {
		names = append(names, physicalName(i))
	}
	return names
}

// sameKey is the condition that rows a and b have the same key. Keys that do not fit
// their columns differ in key_odd.
func (d *definition) sameKey(a, b string, odd bool) string {
	var cond strings.Builder
	equals := "="
	if odd {
		equals = "IS NOT DISTINCT FROM"
	}
	for i, p := range d.KeyPhysical {
		if i > 0 {
			cond.WriteString(" AND ")
		}
		fmt.Fprintf(&cond, "%s.%s %s %s.%s", a, physicalName(p), equals, b, physicalName(p))
	}
	if odd {
		fmt.Fprintf(&cond, " AND %s.key_odd IS NOT DISTINCT FROM %s.key_odd", a, b)
	} else {
		fmt.Fprintf(&cond, " AND %s.key_odd IS NULL", a)
	}
	return cond.String()
}
