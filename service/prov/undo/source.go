package undo

import (
	"context"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/footprint"
	"github.com/dbos-go/dbos/warehouse"
)

// A store is what undoing needs of a warehouse.
type store interface {
	Position() warehouse.Moment
	Oldest() warehouse.Moment
	Status() warehouse.Status
	Spool(ctx context.Context, db dbms.DB, upto dbms.LSN) (dbms.LSN, error)
	Commits(ctx context.Context, f warehouse.Filter) ([]warehouse.Commit, error)
	ChangesOf(ctx context.Context, after, upto dbms.LSN) ([]warehouse.Change, error)
	Tables(ctx context.Context, at dbms.LSN) ([]warehouse.Table, error)
	Query(ctx context.Context, at dbms.LSN, sql string, args ...any) (*warehouse.Rows, error)
}

const (
	// taskTable is where runs are; its rows say which run began.
	taskTable = "sched_task"
	// undoTable says what was undone by which undo.
	undoTable = "prov_undo"
)

// A source is the history that a warehouse has, in terms of today's tables.
type source struct {
	w     store
	db    dbms.DB
	cat   *catalog
	texts map[int64]string
	// gone are tables that were changed and are not there any more, or not as
	// they were; keyless are those without a primary key.
	gone, keyless map[string]bool
}

func newSource(w store, db dbms.DB, cat *catalog) *source {
	return &source{w: w, db: db, cat: cat, texts: map[int64]string{}, gone: map[string]bool{}, keyless: map[string]bool{}}
}

func (s *source) first(ctx context.Context, execution string) (dbms.LSN, error) {
	list, err := s.w.Commits(ctx, warehouse.Filter{Execution: execution, Limit: 1})
	if err != nil || len(list) == 0 {
		return 0, err
	}
	return list[0].LSN, nil
}

func (s *source) commits(ctx context.Context, after, upto dbms.LSN, limit int) ([]*commit, error) {
	list, err := s.w.Commits(ctx, warehouse.Filter{After: after, Upto: upto, Limit: limit})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	last := list[len(list)-1].LSN
	// A commit's changes have numbers of their own, which are greater than that
	// of every commit it has seen.
	seen := max(min(after, list[0].Snapshot), s.w.Oldest().LSN)
	changes, err := s.w.ChangesOf(ctx, seen, last)
	if err != nil {
		return nil, err
	}
	m, err := s.mapping(ctx, seen, last)
	if err != nil {
		return nil, err
	}
	commits := make([]*commit, len(list))
	i := 0
	for n := range list {
		c, err := s.commit(ctx, &list[n])
		if err != nil {
			return nil, err
		}
		g := gathering{c: c}
		for ; i < len(changes) && changes[i].Commit <= c.lsn; i++ {
			if changes[i].Commit == c.lsn {
				if err := g.add(ctx, m, &changes[i]); err != nil {
					return nil, err
				}
			}
		}
		commits[n] = c
	}
	return commits, nil
}

// commit is a recorded transaction without its changes.
func (s *source) commit(ctx context.Context, d *warehouse.Commit) (*commit, error) {
	c := &commit{lsn: d.LSN, snapshot: d.Snapshot, at: d.Time, call: d.Call}
	if c.snapshot <= 0 || c.snapshot >= c.lsn {
		c.snapshot = c.lsn - 1
	}
	if len(d.Note) == 0 {
		return c, nil
	}
	print, err := footprint.Decode(d.Note)
	if err != nil {
		c.recorded, c.cut = true, "its record cannot be read: "+err.Error()
		return c, nil
	}
	c.recorded = len(print.Statements) > 0
	if print.Truncated {
		c.cut = "there were more statements than are recorded"
	}
	for _, r := range print.Reads {
		if run, ok := firstText(r.Key); ok {
			c.outcomes = append(c.outcomes, run)
		}
	}
	for _, st := range print.Statements {
		text, err := s.text(ctx, st.Text)
		if err != nil {
			return nil, err
		}
		switch {
		case st.Cut:
			c.cut = "an argument was too long to be recorded"
		case text == "":
			c.cut = "the text of a statement is not known"
		}
		c.statements = append(c.statements, statement{text: text, args: st.Args, rows: st.Rows, writes: st.Writes})
	}
	return c, nil
}

func firstText(key []dbms.Value) (string, bool) {
	if len(key) == 0 {
		return "", false
	}
	s, ok := key[0].(string)
	return s, ok
}

var allTexts = dbms.System(`SELECT id, text FROM prov_text`)

// text returns a statement's text, or "".
func (s *source) text(ctx context.Context, id int64) (string, error) {
	if t, ok := s.texts[id]; ok {
		return t, nil
	}
	err := s.db.View(ctx, func(tx dbms.Tx) error {
		return each(tx, allTexts, func(row []dbms.Value) error {
			s.texts[row[0].(int64)] = text(row[1])
			return nil
		})
	})
	if _, ok := s.texts[id]; !ok && err == nil {
		s.texts[id] = "" // so that it is not asked for again
	}
	return s.texts[id], err
}

// A gathering collects a commit's changes, each row once.
type gathering struct {
	c  *commit
	at map[rowID]int
}

func (g *gathering) add(ctx context.Context, m *mapping, ch *warehouse.Change) error {
	if !isApplication(ch.Table) {
		if ch.Op != dbms.Insert || ch.Table != taskTable && ch.Table != undoTable {
			return nil
		}
		columns, err := m.columns(ctx, ch.Table, ch.Commit)
		if i := slices.Index(columns, "id"); err == nil && i >= 0 && i < len(ch.After) {
			if ch.Table == undoTable {
				g.c.undo = text(ch.After[i])
			} else {
				g.c.started = append(g.c.started, text(ch.After[i]))
			}
		}
		return err
	}
	t := m.s.cat.table(ch.Table)
	switch {
	case t == nil:
		m.s.gone[ch.Table] = true
		return nil
	case t.key == nil:
		m.s.keyless[t.name] = true
		g.c.keyless = append(g.c.keyless, t.name)
		return nil
	}
	places, err := m.places(ctx, t, ch.Commit)
	if err != nil {
		return err
	}
	if places == nil {
		m.s.gone[ch.Table] = true
		return nil
	}
	next := change{id: rowID{t.name, keyText(ch.Key)}, key: ch.Key, before: places.row(ch.Before), after: places.row(ch.After)}
	if i, ok := g.at[next.id]; ok {
		g.c.changes[i].after = next.after
		return nil
	}
	if g.at == nil {
		g.at = map[rowID]int{}
	}
	g.at[next.id] = len(g.c.changes)
	g.c.changes = append(g.c.changes, next)
	return nil
}

// A mapping turns rows of tables as they were within a range of LSNs into rows
// of today's.
type mapping struct {
	s       *source
	after   dbms.LSN
	latest  []warehouse.Table // at the range's end
	earlier map[dbms.LSN][]warehouse.Table
	known   map[string]*places // of definitions that were there all along
}

func (s *source) mapping(ctx context.Context, after, upto dbms.LSN) (*mapping, error) {
	latest, err := s.w.Tables(ctx, upto)
	return &mapping{s: s, after: after, latest: latest, earlier: map[dbms.LSN][]warehouse.Table{}, known: map[string]*places{}}, err
}

// definition returns a table as it was when a commit changed it, or nil, and
// whether it was so in the whole range.
func (m *mapping) definition(ctx context.Context, name string, at dbms.LSN) (*warehouse.Table, bool, error) {
	if t := find(m.latest, name); t != nil && t.Since <= m.after {
		return t, true, nil
	}
	list, ok := m.earlier[at]
	if !ok {
		var err error
		if list, err = m.s.w.Tables(ctx, at); err != nil {
			return nil, false, err
		}
		m.earlier[at] = list
	}
	return find(list, name), false, nil
}

func find(list []warehouse.Table, name string) *warehouse.Table {
	i := slices.IndexFunc(list, func(t warehouse.Table) bool { return strings.EqualFold(t.Name, name) })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// alike reports whether the application's tables were at a moment what they are
// today.
func (s *source) alike(ctx context.Context, at dbms.LSN) (bool, error) {
	list, err := s.w.Tables(ctx, at)
	if err != nil {
		return false, err
	}
	for _, t := range s.cat.tables {
		then := find(list, t.name)
		if then == nil || !slices.Equal(then.Columns, t.define.Columns) || !slices.Equal(then.KeyColumns, t.define.KeyColumns) {
			return false, nil
		}
	}
	return true, nil
}

func (m *mapping) columns(ctx context.Context, name string, at dbms.LSN) ([]string, error) {
	t, _, err := m.definition(ctx, name, at)
	if t == nil {
		return nil, err
	}
	return t.Columns, err
}

// places are where a table's columns of today were, -1 for those that were not
// there, and what stands for these.
type places struct {
	from     []int
	missing  bool
	defaults []dbms.Value
}

// places returns nil if the table had another key.
func (m *mapping) places(ctx context.Context, t *table, at dbms.LSN) (*places, error) {
	if p, ok := m.known[t.name]; ok {
		return p, nil
	}
	then, always, err := m.definition(ctx, t.name, at)
	if err != nil {
		return nil, err
	}
	var p *places
	if then != nil && slices.EqualFunc(then.KeyColumns, t.define.KeyColumns, strings.EqualFold) {
		p = &places{defaults: t.defaults}
		p.missing = len(then.Columns) != len(t.define.Columns)
		for i, name := range t.define.Columns {
			at := slices.IndexFunc(then.Columns, func(c string) bool { return strings.EqualFold(c, name) })
			p.from = append(p.from, at)
			p.missing = p.missing || at != i
		}
	}
	if always {
		m.known[t.name] = p
	}
	return p, nil
}

func (p *places) row(r []dbms.Value) row {
	if r == nil || !p.missing {
		return r
	}
	out := make(row, len(p.from))
	for i, at := range p.from {
		switch {
		case at >= 0:
			out[i] = r[at]
		case i < len(p.defaults):
			out[i] = p.defaults[i]
		}
	}
	return out
}
