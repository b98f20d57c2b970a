//go:build cgo

package warehouse

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms/footprint"
)

// Commits returns the commits that match the filter, in their order, without
// their changes (see ChangesOf).
func (w *Warehouse) Commits(ctx context.Context, f Filter) ([]Commit, error) {
	const op = "warehouse.commits"
	upto, _, err := w.check(op, f.Upto)
	if err != nil {
		return nil, err
	}
	s, ctx, err := w.session(ctx, op)
	if err != nil {
		return nil, err
	}
	defer w.finish(s)
	text := "SELECT lsn, time, procedure, principal, execution, step, node, start, snapshot, note FROM warehouse.commit WHERE lsn > $1 AND lsn <= $2"
	args := []any{int64(f.After), int64(upto)}
	for _, c := range [...]struct{ column, value string }{
		{"execution", f.Execution}, {"principal", string(f.Principal)}, {"procedure", f.Procedure},
	} {
		if c.value != "" {
			args = append(args, c.value)
			text += fmt.Sprintf(" AND %s = $%d", c.column, len(args))
		}
	}
	text += " ORDER BY lsn"
	if f.Limit > 0 {
		text += fmt.Sprintf(" LIMIT %d", f.Limit)
	}
	var list []Commit
	err = s.query(ctx, func(row []driver.Value) error {
		list = append(list, commitOf(row))
		return nil
	}, text, args...)
	return list, err
}

func commitOf(row []driver.Value) Commit {
	text := func(i int) string { s, _ := row[i].(string); return s }
	step, _ := row[5].(int32)
	var c Commit
	c.LSN, c.Time = lsnOf(row[0]), timeOf(row[1])
	c.Call = abi.Call{Procedure: text(2), Principal: abi.Principal(text(3)), Execution: text(4), Step: int(step), Node: text(6), Start: timeOf(row[7])}
	c.Snapshot = lsnOf(row[8])
	if note, ok := row[9].([]byte); ok {
		c.Note = note
		if f, err := footprint.Decode(note); err == nil {
			c.Footprint = f
		}
	}
	return c
}
