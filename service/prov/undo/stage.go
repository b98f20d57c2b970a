package undo

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/prov"
)

// A stage is a scratch copy of the database on which statements run again. It
// is as of base; what lies between base and the state that is wanted is applied in the
// transaction that runs the statements, and rolled back with it.
//
// Application triggers are off while rows are applied, and on while statements run.
// Triggers of its own note which rows those change.
type stage struct {
	db   dbms.DB
	cat  *catalog // of the copy
	tape *tape
	base dbms.LSN
	// laid are the rows of the copy that are not as of base but repaired; only a
	// wide stage has any: one for so many repaired rows that applying them each time
	// would cost too much.
	wide bool
	laid map[rowID]state
}

const (
	// settleRows and settleCommits say how far from the base a state may be, so
	// that applying what lies between stays cheap.
	settleRows    = 8
	settleCommits = 100
	// settleAlone is how many rows are more than a transaction's time allows.
	settleAlone = 10_000
)

var stageCall = abi.Call{Procedure: "prov.undo.stage", Principal: abi.System}

// newStage prepares a copy that is as of base.
func newStage(ctx context.Context, db dbms.DB, base dbms.LSN, t *tape) (*stage, error) {
	s := &stage{db: db, tape: t, base: base}
	_, err := db.Update(ctx, stageCall, func(tx dbms.Tx) error {
		var err error
		if s.cat, err = readCatalog(tx, db); err != nil {
			return err
		}
		return s.prepare(tx)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// errRolledBack ends every transaction that runs statements.
var errRolledBack = errors.New("rolled back")

// errBroken says that rows cannot be what they shall be.
var errBroken = errors.New("the rows contradict each other")

// run implements executor.
func (s *stage) run(ctx context.Context, at dbms.LSN, instead []state, c *commit) (*effect, error) {
	rows, err := s.approach(ctx, at, instead)
	if err != nil {
		return nil, err
	}
	var e *effect
	_, err = s.db.Update(ctx, stageCall, func(tx dbms.Tx) error {
		e = &effect{touched: map[rowID]touch{}}
		if err := s.attempt(tx, rows, c, e); err != nil {
			return err
		}
		return errRolledBack
	})
	switch {
	case errors.Is(err, errRolledBack), errors.Is(err, errBroken):
		return e, nil
	case err == nil:
		err = errLost("a trial has been committed")
	}
	return nil, err
}

// approach returns what has to be applied to the copy to have a state with
// some rows instead. It lets the copy follow if that is much.
func (s *stage) approach(ctx context.Context, at dbms.LSN, instead []state) (map[rowID]state, error) {
	rows, commits, err := s.tape.between(ctx, s.base, at)
	if err != nil {
		return nil, err
	}
	if s.wide {
		s.relay(rows, instead)
	}
	if len(rows) > settleRows || commits > settleCommits {
		if err := s.settle(ctx, rows); err != nil {
			return nil, err
		}
		if s.base, s.laid = at, nil; s.wide {
			s.laid = make(map[rowID]state, len(instead))
			for _, r := range instead {
				s.laid[r.id] = r
			}
		}
		rows = map[rowID]state{}
	}
	if !s.wide {
		for _, r := range instead {
			rows[r.id] = r
		}
	}
	return rows, nil
}

// relay turns the rows between the base and a state into what has to be
// applied so that the wanted ones are repaired and no others.
func (s *stage) relay(rows map[rowID]state, instead []state) {
	wanted := make(map[rowID]struct{}, len(instead))
	for _, r := range instead {
		wanted[r.id] = struct{}{}
		if l, ok := s.laid[r.id]; ok && sameRow(l.row, r.row) {
			delete(rows, r.id)
		} else {
			rows[r.id] = r
		}
	}
	for id, l := range s.laid {
		if _, ok := wanted[id]; ok {
			continue
		}
		if _, changed := rows[id]; !changed {
			rows[id] = state{id: id, key: l.key, row: l.actual}
		}
	}
}

// settle applies rows for good.
func (s *stage) settle(ctx context.Context, rows map[rowID]state) error {
	fn := func(tx dbms.Tx) error {
		names, err := s.arrange(tx, rows)
		if err != nil {
			return err
		}
		return s.forget(tx, names)
	}
	var err error
	if len(rows) > settleAlone {
		_, err = s.db.UpdateExclusive(ctx, stageCall, nil, fn)
	} else {
		_, err = s.db.Update(ctx, stageCall, fn)
	}
	return err
}

// apply makes rows what they shall be: those that refer to others first, so
// that nothing refers to a row when it goes.
func (s *stage) apply(tx dbms.Tx, rows map[rowID]state) ([]string, error) {
	byTable := map[string][]prov.RowState{}
	for id, r := range rows {
		byTable[id.table] = append(byTable[id.table], prov.RowState{Key: r.key, Row: r.row})
	}
	names := make([]string, 0, len(byTable))
	for name := range byTable {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool { return s.cat.rank(names[i]) < s.cat.rank(names[j]) })
	for _, name := range names {
		t := s.cat.table(name)
		if t == nil {
			return nil, errLost("table " + name + " is not in the copy")
		}
		if _, err := prov.Apply(tx, s.db, t.define, byTable[name]); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// attempt runs a commit's statements on rows, inside a transaction that will
// be rolled back.
func (s *stage) attempt(tx dbms.Tx, rows map[rowID]state, c *commit, e *effect) error {
	names, err := s.arrange(tx, rows)
	if err != nil {
		if fatal(err) {
			return err
		}
		e.broken = err.Error()
		return errBroken
	}
	reached := s.reached(c)
	if err := s.forget(tx, append(names, reached...)); err != nil {
		return err
	}
	if err := s.enable(tx, reached); err != nil {
		return err
	}
	keys := newKeys(s, c, reached)
	for _, st := range c.statements {
		if err := keys.ahead(tx); err != nil {
			return err
		}
		r, err := s.statement(tx, keys, st)
		if err != nil {
			return err
		}
		if r.failed == "" {
			if r.keys, err = keys.follow(tx); err != nil {
				return err
			}
		}
		e.results = append(e.results, r)
	}
	for _, name := range reached {
		if err := s.collect(tx, s.cat.table(name), e.touched); err != nil {
			return err
		}
	}
	return nil
}

// arrange applies rows; foreign keys hold afterwards.
func (s *stage) arrange(tx dbms.Tx, rows map[rowID]state) ([]string, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	placed, err := s.place(tx, rows)
	if err != nil {
		return nil, err
	}
	if placed {
		return tablesOf(rows), nil
	}
	if err := s.deferKeys(tx, true); err != nil {
		return nil, err
	}
	names, err := s.apply(tx, rows)
	if err != nil {
		return nil, err
	}
	return names, s.deferKeys(tx, false)
}

// tablesOf are the tables of rows.
func tablesOf(rows map[rowID]state) []string {
	var names []string
	for id := range rows {
		if !slices.Contains(names, id.table) {
			names = append(names, id.table)
		}
	}
	return names
}

// reached are the tables that a commit's statements may touch.
func (s *stage) reached(c *commit) []string {
	var list []string
	for _, st := range c.statements {
		for _, t := range s.cat.reach(st) {
			if !slices.Contains(list, t) {
				list = append(list, t)
			}
		}
	}
	return list
}

// statement runs one statement.
func (s *stage) statement(tx dbms.Tx, keys *keys, st statement) (result, error) {
	q := dbms.SQL(keys.substitute(st.text))
	args := make([]any, len(st.args))
	for i, a := range st.args {
		args[i] = a
	}
	var r result
	var err error
	if returns(st.text) {
		err = r.read(tx, q, args, st.rows)
	} else {
		r.changed, err = tx.Exec(q, args...)
	}
	if err != nil && fatal(err) {
		return r, err
	}
	if err != nil {
		r = result{failed: err.Error()}
	}
	return r, nil
}

// read runs a query and keeps the rows that its program saw, and one more: so
// many tell whether there were more.
func (r *result) read(tx dbms.Tx, q *dbms.Query, args []any, seen int64) error {
	rows, err := tx.Query(q, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	r.rows = [][]dbms.Value{}
	for int64(len(r.rows)) <= max(seen, 0) && rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return err
		}
		r.rows = append(r.rows, row)
	}
	return rows.Err()
}

// fatal reports whether an error says nothing about the statement.
func fatal(err error) bool {
	switch abi.KindOf(err) {
	case abi.Canceled, abi.Timeout, abi.Closed, abi.Unavailable, abi.Unknown, abi.Fenced, abi.Corrupt:
		return true
	}
	return errors.Is(err, context.Canceled)
}

// returns reports whether a statement gives rows.
func returns(text string) bool {
	list := words(unquoted(text))
	if len(list) == 0 {
		return false
	}
	switch list[0] {
	case "select", "values", "table", "pragma", "explain", "show":
		return true
	case "with":
		if !slices.ContainsFunc(list, func(w string) bool { return writing[w] }) {
			return true
		}
	}
	return slices.Contains(list, "returning")
}

// unquoted is a statement without comments and strings.
func unquoted(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		n := 0
		for _, q := range [...][2]string{{"--", "\n"}, {"/*", "*/"}, {"'", "'"}} {
			if strings.HasPrefix(text, q[0]) {
				if n = len(text); strings.Contains(text[len(q[0]):], q[1]) {
					n = len(q[0]) + strings.Index(text[len(q[0]):], q[1]) + len(q[1])
				}
				break
			}
		}
		if n == 0 {
			b.WriteByte(text[0])
			n = 1
		} else {
			b.WriteByte(' ')
		}
		text = text[n:]
	}
	return b.String()
}
