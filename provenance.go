package dbos

import (
	"bytes"
	"sync"

	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/footprint"
	"github.com/dbos-go/dbos/service/prov"
)

// A statementText is one that the application has used.
type statementText struct {
	text  string
	id    int64 // as footprints name it
	query *dbms.Query
}

// maxStatementTexts bounds how many texts a process keeps. A program that makes
// up statements without end then pays for each of them.
const maxStatementTexts = 10_000

// statementTexts are the application's statements by their text, so that
// what costs something is done once for each.
type statementTexts struct {
	mu    sync.RWMutex
	known map[string]*statementText
}

func (s *statementTexts) get(text string) *statementText {
	s.mu.RLock()
	t := s.known[text]
	s.mu.RUnlock()
	if t != nil {
		return t
	}
	t = &statementText{text: text, id: footprint.TextID(text), query: dbms.SQL(text)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxStatementTexts {
		s.known = map[string]*statementText{}
	}
	s.known[text] = t
	return t
}

const (
	// maxFootprint is how many statements of a transaction are recorded.
	maxFootprint = 1000
	// usualStatements and usualArgs are what a recorder has room for from the
	// beginning.
	usualStatements = 4
	usualArgs       = 16
)

// A recorder notes what one transaction looks at: the application's
// statements with their arguments and how many rows they gave or changed,
// and what the services read for it. The rows themselves can be computed again, from
// the state that the transaction saw. nil records nothing.
type recorder struct {
	sys   *System
	print footprint.Footprint
	known prov.Texts
	texts []*statementText // parallel to print.Statements
	args  []dbms.Value     // what their arguments are parts of

	room struct {
		statements [usualStatements]footprint.Statement
		texts      [usualStatements]*statementText
		args       [usualArgs]dbms.Value
	}
}

// recorder returns one for a transaction, or nil if there is none to be.
func (s *System) recorder() *recorder {
	if s.options.noReads || s.options.db.NoHistory {
		return nil
	}
	r := &recorder{sys: s}
	r.begin()
	return r
}

// begin forgets an earlier try.
func (r *recorder) begin() {
	if r == nil {
		return
	}
	r.print = footprint.Footprint{Statements: r.room.statements[:0]}
	r.texts, r.args = r.room.texts[:0], r.room.args[:0]
}

// failedRows is the number of rows of a statement that failed.
const failedRows = -1

// statement notes a statement and returns its place, or -1 if there is no more
// room.
func (r *recorder) statement(t *statementText, args []any, writes bool) int {
	if r == nil {
		return -1
	}
	if len(r.print.Statements) == maxFootprint {
		r.print.Truncated = true
		return -1
	}
	first := len(r.args)
	for _, arg := range args {
		v, err := dbms.ToValue(arg)
		if err != nil {
			v = nil // the statement fails for it
		}
		if b, ok := v.([]byte); ok {
			v = bytes.Clone(b) // it is the application's
		}
		r.args = append(r.args, v)
	}
	r.texts = append(r.texts, t)
	r.print.Statements = append(r.print.Statements, footprint.Statement{
		Text: t.id, Args: r.args[first:len(r.args):len(r.args)], Rows: failedRows, Writes: writes,
	})
	return len(r.print.Statements) - 1
}

// rows notes how many rows a statement gave or changed.
func (r *recorder) rows(place int, n int64) {
	if place >= 0 {
		r.print.Statements[place].Rows = n
	}
}

// read notes that a service read a row.
func (r *recorder) read(table string, key ...dbms.Value) {
	if r != nil {
		r.print.Reads = append(r.print.Reads, footprint.Read{Table: table, Key: key})
	}
}

// snapshotTable stands, in a read, for the state that a transaction saw: the key
// is its LSN and the transaction's time. It is noted where the record of a transaction is kept with a
// later one: that of a step that failed.
const snapshotTable = "dbos_transaction"

// saw notes the snapshot of a transaction that is not the one that the record
// will be kept with.
func (r *recorder) saw(tx dbms.Tx) {
	if !r.empty() {
		r.read(snapshotTable, int64(tx.LSN()), tx.Now().UnixMicro())
	}
}

// empty reports whether there is nothing to record.
func (r *recorder) empty() bool {
	return r == nil || len(r.print.Statements) == 0 && len(r.print.Reads) == 0
}

// seal records what was noted with the transaction that is about to commit. The
// texts that are new to the database go with it.
func (r *recorder) seal(tx dbms.Tx) error {
	if r.empty() {
		return nil
	}
	r.known = r.sys.prov.Texts()
	for _, t := range r.texts {
		if err := r.known.Remember(tx, t.id, t.text); err != nil {
			return err
		}
	}
	tx.Record(r.print.Encode())
	return nil
}

// committed says that the transaction has been committed.
func (r *recorder) committed() {
	if r != nil {
		r.known.Committed()
	}
}

// recordedRows counts the rows that the application reads.
type recordedRows struct {
	dbms.Rows
	rec   *recorder
	place int
	n     int64
}

func (r *recordedRows) Next() bool {
	if r.Rows.Next() {
		r.n++
		r.rec.rows(r.place, r.n)
		return true
	}
	if r.Rows.Err() != nil {
		r.rec.rows(r.place, failedRows)
	}
	return false
}
