package sqlite

import (
	"strings"

	"zombiezen.com/go/sqlite"
)

// A transactionLog writes the rows of dbos_transaction for a group. Several
// rows a statement cost half as much as one each.
type transactionLog struct {
	inserts []logInsert // widest first
}

// A logInsert is a statement that inserts several rows. Bindings stay from one
// use to the next, and texts are dear to bind, so it remembers them.
type logInsert struct {
	stmt *sqlite.Stmt
	rows []boundCall
}

// A boundCall is what a row of a logInsert has bound.
type boundCall struct {
	procedure, principal, execution, node string
	noted, bound                          bool
}

// logWidths are the numbers of rows of the statements.
var logWidths = []int{64, 16, 4, 1}

const logColumns = 9

func (l *transactionLog) prepare(c *conn) error {
	for _, width := range logWidths {
		row := "(?,?,?,?,?,?,?,?,?)"
		stmt, err := c.raw.Prepare("INSERT INTO dbos_transaction (lsn, at, procedure, principal, execution, step, node, started_at, note) VALUES " +
			row + strings.Repeat(","+row, width-1))
		if err != nil {
			return sqlError("sqlite.open", err)
		}
		l.inserts = append(l.inserts, logInsert{stmt, make([]boundCall, width)})
	}
	return nil
}

// write records the calls of the group.
func (l *transactionLog) write(w *writer, group []*request) error {
	for _, in := range l.inserts {
		for width := len(in.rows); len(group) >= width; group = group[width:] {
			for i, r := range group[:width] {
				in.bind(i, r, w.node)
			}
			if err := step(in.stmt); err != nil {
				return err
			}
		}
	}
	return nil
}

// bind sets the row's parameters that differ from what is bound.
func (in *logInsert) bind(row int, r *request, node string) {
	s, at, b := in.stmt, row*logColumns+1, &in.rows[row]
	if r.call.Node != "" {
		node = r.call.Node
	}
	text := func(column int, old *string, now string) {
		if *old != now || !b.bound {
			s.BindText(at+column, now)
			*old = now
		}
	}
	s.BindInt64(at, int64(r.lsn))
	s.BindInt64(at+1, r.tx.now)
	text(2, &b.procedure, r.call.Procedure)
	text(3, &b.principal, string(r.call.Principal))
	switch {
	case r.call.Execution != "":
		text(4, &b.execution, r.call.Execution)
		s.BindInt64(at+5, int64(r.call.Step))
	case b.execution != "" || !b.bound:
		s.BindNull(at + 4)
		s.BindNull(at + 5)
		b.execution = ""
	}
	text(6, &b.node, node)
	s.BindInt64(at+7, r.start)
	switch {
	case r.tx.note != nil:
		s.BindBytes(at+8, r.tx.note)
		b.noted = true
	case b.noted || !b.bound:
		s.BindNull(at + 8)
		b.noted = false
	}
	b.bound = true
}
