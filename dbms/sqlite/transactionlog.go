package sqlite

import (
	"strings"

	"zombiezen.com/go/sqlite"
)

// A transactionLog writes the rows of dbos_transaction for a group. Several
// rows a statement cost half as much as one each.
type transactionLog struct {
	wide, one *sqlite.Stmt
}

const (
	logColumns = 8
	logRows    = 16 // rows of the wide statement
)

func (l *transactionLog) prepare(c *conn) error {
	var err error
	if l.one, err = c.raw.Prepare(logInsert(1)); err != nil {
		return sqlError("sqlite.open", err)
	}
	l.wide, err = c.raw.Prepare(logInsert(logRows))
	return sqlError("sqlite.open", err)
}

func logInsert(rows int) string {
	row := "(?,?,?,?,?,?,?,?)"
	return "INSERT INTO dbos_transaction (lsn, at, procedure, principal, execution, step, node, started_at) VALUES " +
		row + strings.Repeat(","+row, rows-1)
}

// write records the calls of the group.
func (l *transactionLog) write(w *writer, group []*request) error {
	for len(group) > 0 {
		stmt, n := l.one, 1
		if len(group) >= logRows {
			stmt, n = l.wide, logRows
		}
		for i, r := range group[:n] {
			bindCall(stmt, i*logColumns+1, r, w.node)
		}
		if err := step(stmt); err != nil {
			return err
		}
		group = group[n:]
	}
	return nil
}

func bindCall(s *sqlite.Stmt, at int, r *request, node string) {
	s.BindInt64(at, int64(r.lsn))
	s.BindInt64(at+1, r.tx.now)
	s.BindText(at+2, r.call.Procedure)
	s.BindText(at+3, string(r.call.Principal))
	if r.call.Execution == "" {
		s.BindNull(at + 4)
		s.BindNull(at + 5)
	} else {
		s.BindText(at+4, r.call.Execution)
		s.BindInt64(at+5, int64(r.call.Step))
	}
	if r.call.Node != "" {
		node = r.call.Node
	}
	s.BindText(at+6, node)
	s.BindInt64(at+7, r.start)
}
