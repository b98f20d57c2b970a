//go:build cgo

package warehouse

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/dbos-go/dbos/dbms"
)

// An applier puts commits into the store, within one of its transactions. Changes of
// rows are collected and put in at once, because the store is fast with many rows and slow
// with one; a changed definition comes between.
type applier struct {
	w       *Warehouse
	s       *session
	catalog *catalog
	cloned  bool // catalog may be changed
	pending map[*table]*pendingRows
	order   []*table // of pending, as they came
	changes int64

	commit  []dbms.Commit // those to take
	at      place         // how far they have been taken
	written int           // of how many the calls are written
	whole   bool          // everything has to be one transaction
	// ids are the numbers of the tables that had a name, for commits whose calls are not written.
	ids map[string][]int
}

// A place is one between two changes: that many commits, and of the next one
// that many changes.
type place struct{ commits, changes int }

// pendingRows are changes of one table that have not been put in.
type pendingRows struct {
	versions []version
	endings  []ending
	// last is the newest version of each key seen, by its place in versions, or
	// gone.
	last map[rowKey]int
}

const gone = -1

// A version is a row as a change left it, and how long it stayed so.
type version struct {
	row       []dbms.Value
	key       []dbms.Value
	lsn, end  dbms.LSN // end 0: it is valid still
	commit    uint32
	endCommit uint32
	op, endOp uint8
	void      bool // replaced within the same LSN
}

// An ending is the end of a version that was there before.
type ending struct {
	key    []dbms.Value
	lsn    dbms.LSN
	commit uint32
	op     uint8
}

// A rowKey is a key as a Go map takes it.
type rowKey struct {
	number int64
	text   string // "" for a single integer
}

func keyOf(values []dbms.Value) rowKey {
	if len(values) == 1 {
		if n, ok := values[0].(int64); ok {
			return rowKey{number: n}
		}
	}
	b := make([]byte, 0, 64)
	for _, v := range values {
		switch x := v.(type) {
		case nil:
			b = append(b, 'n')
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 'i'), uint64(x))
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, 'f'), math.Float64bits(x))
		case string:
			b = binary.AppendUvarint(append(b, 't'), uint64(len(x)))
			b = append(b, x...)
		case []byte:
			b = binary.AppendUvarint(append(b, 'b'), uint64(len(x)))
			b = append(b, x...)
		}
	}
	return rowKey{text: string(b)}
}

func (w *Warehouse) newApplier() *applier {
	return &applier{w: w, s: w.writer, catalog: w.catalog, pending: map[*table]*pendingRows{}, ids: map[string][]int{}}
}

// take takes commits in their order, and says that they have been taken.
func (a *applier) take(ctx context.Context, commits []dbms.Commit) error {
	a.commit = commits
	for i := range commits {
		c := &commits[i]
		first := 0
		if p := a.w.state.Partial; c.LSN == p.LSN {
			first = p.Changes
			for j := range first {
				a.ids[c.Changes[j].Table] = a.catalog.called(c.Changes[j].Table)
			}
		}
		for j := first; j < len(c.Changes); j++ {
			a.at = place{commits: i, changes: j}
			if err := a.change(ctx, c.LSN, &c.Changes[j]); err != nil {
				return err
			}
		}
	}
	if err := a.flush(ctx); err != nil {
		return err
	}
	a.at = place{commits: len(commits)}
	return a.mark(ctx)
}

// mark writes down how far the commits have been taken.
func (a *applier) mark(ctx context.Context) error {
	if err := a.calls(ctx, a.commit[a.written:a.at.commits]); err != nil {
		return err
	}
	if a.at.commits > a.written {
		if err := a.w.setMoment(ctx, "position", a.position()); err != nil {
			return err
		}
	}
	a.written = a.at.commits
	p := a.partial()
	if p == a.w.state.Partial {
		return nil
	}
	_, err := a.s.exec(ctx, `UPDATE warehouse.state SET lsn = $1, value = $2 WHERE key = 'partial'`, int64(p.LSN), strconv.Itoa(p.Changes))
	return err
}

func (a *applier) position() Moment {
	if a.at.commits == 0 {
		return a.w.state.Position
	}
	last := &a.commit[a.at.commits-1]
	return Moment{LSN: last.LSN, Time: last.Time}
}

func (a *applier) partial() partial {
	if a.at.changes == 0 {
		return partial{}
	}
	return partial{LSN: a.commit[a.at.commits].LSN, Changes: a.at.changes}
}

// split ends the store's transaction and begins another one, because the store cannot add a column to a
// table that the transaction has changed. Where a commit is divided by it, nobody sees its first part: the
// moments that can be asked for end before it. Should the process be killed there,
// the next one goes on at the same place.
func (a *applier) split(ctx context.Context) error {
	if a.whole {
		return nil
	}
	if err := a.flush(ctx); err != nil {
		return err
	}
	if err := a.mark(ctx); err != nil {
		return err
	}
	if _, err := a.s.exec(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		return err
	}
	a.publish()
	_, err := a.s.exec(ctx, "BEGIN TRANSACTION")
	return err
}

// publish makes known what has been committed.
func (a *applier) publish() {
	w := a.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Position, w.state.Partial = a.position(), a.partial()
	w.catalog, a.cloned = a.catalog, false
}

// change takes one change.
func (a *applier) change(ctx context.Context, commit dbms.LSN, ch *dbms.Change) error {
	if ch.Op == dbms.Define || ch.Op == dbms.Drop {
		if err := a.flush(ctx); err != nil {
			return err
		}
		return a.defined(ctx, commit, ch)
	}
	a.changes++
	t := a.catalog.current[ch.Table]
	if t == nil || !slices.Equal(t.last().Columns, ch.Columns) && ch.Row != nil {
		// A definition that was never recorded: what the change says of it will do.
		if err := a.flush(ctx); err != nil {
			return err
		}
		made := *ch
		made.Op, made.Row, made.Key = dbms.Define, nil, nil
		if err := a.defined(ctx, commit, &made); err != nil {
			return err
		}
		t = a.catalog.current[ch.Table]
	}
	p := a.pending[t]
	if p == nil {
		p = &pendingRows{last: map[rowKey]int{}}
		a.pending[t] = p
		a.order = append(a.order, t)
		if !slices.Contains(a.ids[ch.Table], t.id) {
			a.ids[ch.Table] = append(a.ids[ch.Table], t.id)
		}
	}
	p.add(ch, uint32(commit-ch.LSN))
	return nil
}

// add takes one change of the table.
func (p *pendingRows) add(ch *dbms.Change, commit uint32) {
	key := keyOf(ch.Key)
	op := uint8(opUpdate)
	switch ch.Op {
	case dbms.Insert:
		op = opInsert
	case dbms.Delete:
		op = opDelete
	}
	at, seen := p.last[key]
	switch {
	case !seen && op != opInsert:
		p.endings = append(p.endings, ending{key: ch.Key, lsn: ch.LSN, commit: commit, op: op})
	case seen && at != gone:
		before := &p.versions[at]
		if before.lsn == ch.LSN {
			// An engine gives the first of very many changes of one transaction the same number:
			// of those of one row only the last one can be told.
			before.void = true
			if op == opUpdate {
				op = before.op
			}
		} else {
			before.end, before.endCommit, before.endOp = ch.LSN, commit, op
		}
	}
	if ch.Op == dbms.Delete {
		p.last[key] = gone
		return
	}
	p.last[key] = len(p.versions)
	p.versions = append(p.versions, version{row: ch.Row, key: ch.Key, lsn: ch.LSN, commit: commit, op: op})
}

// flush puts what is pending into the store.
func (a *applier) flush(ctx context.Context) error {
	for _, t := range a.order {
		p := a.pending[t]
		if err := a.end(ctx, t, p.endings); err != nil {
			return fmt.Errorf("table %s: %w", t.last().Name, err)
		}
		if err := a.append(ctx, t, p.versions); err != nil {
			return fmt.Errorf("table %s: %w", t.last().Name, err)
		}
	}
	clear(a.pending)
	a.order = a.order[:0]
	return nil
}

// end closes live versions: they move to the other table.
func (a *applier) end(ctx context.Context, t *table, endings []ending) error {
	if len(endings) == 0 {
		return nil
	}
	d := t.last()
	names := make([]string, len(d.KeyPhysical))
	for i, p := range d.KeyPhysical {
		names[i] = physicalName(p)
	}
	_, err := a.s.exec(ctx, fmt.Sprintf(`CREATE OR REPLACE TEMP TABLE ending AS
		SELECT lsn, commit, op, key_odd, %s FROM %s LIMIT 0`, strings.Join(names, ", "), t.live()))
	if err != nil {
		return err
	}
	anyOdd := false
	err = a.fill(ctx, "temp", "ending", nil, func(add func(...driver.Value) error) error {
		var odd oddRow
		row := make([]driver.Value, 4+len(names))
		for i := range endings {
			e := &endings[i]
			odd.reset()
			for j, p := range d.KeyPhysical {
				value, fits := t.columns[p].put(e.key[j])
				if !fits {
					odd.addKey(p, e.key[j])
					anyOdd = true
				}
				row[4+j] = value
			}
			row[0], row[1], row[2], row[3] = int64(e.lsn), e.commit, e.op, oddText(odd.key)
			if err := add(row...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return a.move(ctx, t, anyOdd, len(endings))
}

// move moves the live versions that the temporary table ending names.
func (a *applier) move(ctx context.Context, t *table, odd bool, want int) error {
	same := t.last().sameKey("l", "e", odd)
	moved, err := a.s.exec(ctx, fmt.Sprintf(`INSERT INTO %s (lsn, commit, op, odd, key_odd, end_lsn, end_commit, end_op, %s)
		SELECT l.lsn, l.commit, l.op, l.odd, l.key_odd, e.lsn, e.commit, e.op, %s FROM %s l JOIN ending e ON %s`,
		t.closed(), t.physicalList(""), t.physicalList("l."), t.live(), same))
	if err != nil {
		return err
	}
	if moved != int64(want) {
		a.w.warn("rows were changed that are not in the history; what is known of them begins here",
			"table", t.last().Name, "rows", int64(want)-moved)
	}
	_, err = a.s.exec(ctx, fmt.Sprintf(`DELETE FROM %s l USING ending e WHERE %s`, t.live(), same))
	return err
}

// append adds versions: those that have ended to one table and those that are
// valid to the other.
func (a *applier) append(ctx context.Context, t *table, versions []version) error {
	e := newEncoder(t)
	// One for each table and for rows with and without odd cells: most are without, and a NULL costs
	// as much as a number.
	var targets [2][2]*duckdb.Appender
	defer func() {
		for _, pair := range targets {
			for _, appender := range pair {
				if appender != nil {
					appender.Clear() // there was an error
					appender.Close()
				}
			}
		}
	}()
	for i := range versions {
		v := &versions[i]
		if v.void {
			continue
		}
		row, odd := e.encode(v)
		target := &targets[btoi(v.end != 0)][btoi(odd)]
		if *target == nil {
			var err error
			if *target, err = a.appender(t, v.end != 0, odd); err != nil {
				return storeError("warehouse.spool", ctx, err)
			}
		}
		if err := (*target).AppendRow(row...); err != nil {
			return storeError("warehouse.spool", ctx, err)
		}
	}
	for i := range targets {
		for j, appender := range targets[i] {
			if appender == nil {
				continue
			}
			targets[i][j] = nil
			if err := appender.Close(); err != nil {
				return storeError("warehouse.spool", ctx, err)
			}
		}
	}
	return ctx.Err()
}

func (a *applier) appender(t *table, closed, odd bool) (*duckdb.Appender, error) {
	name := fmt.Sprintf("live_%d", t.id)
	if closed {
		name = fmt.Sprintf("closed_%d", t.id)
	}
	if odd {
		return duckdb.NewAppender(a.s.Conn, "warehouse", "main", name)
	}
	return duckdb.NewAppenderWithColumns(a.s.Conn, "warehouse", "main", name, t.plainColumns(closed))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// fill appends rows to a table of the store: values of those columns, or of all of
// them.
func (a *applier) fill(ctx context.Context, catalog, table string, columns []string, rows func(add func(...driver.Value) error) error) error {
	var appender *duckdb.Appender
	var err error
	if columns != nil {
		appender, err = duckdb.NewAppenderWithColumns(a.s.Conn, catalog, "main", table, columns)
	} else {
		appender, err = duckdb.NewAppender(a.s.Conn, catalog, "main", table)
	}
	if err != nil {
		return storeError("warehouse.spool", ctx, err)
	}
	err = rows(appender.AppendRow)
	if closing := appender.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return storeError("warehouse.spool", ctx, err)
	}
	return ctx.Err()
}

// An encoder makes a row of the store of a version. The rows share memory.
type encoder struct {
	t       *table
	d       *definition
	odd     oddRow
	live    []driver.Value
	closed  []driver.Value
	keyless bool
}

func newEncoder(t *table) *encoder {
	d := t.last()
	e := &encoder{t: t, d: d, keyless: d.keyless(),
		live: make([]driver.Value, liveNumber+len(t.columns)), closed: make([]driver.Value, closedNumber+len(t.columns))}
	return e
}

// encode returns the values of all columns, or, if none are odd, those without the
// first oddNumber.
func (e *encoder) encode(v *version) (row []driver.Value, odd bool) {
	row = e.all(v)
	if row[0] == nil && row[1] == nil {
		return row[oddNumber:], false
	}
	return row, true
}

// all returns the values of all columns.
func (e *encoder) all(v *version) []driver.Value {
	row, cells := e.live, e.live[liveNumber:]
	if v.end != 0 {
		row, cells = e.closed, e.closed[closedNumber:]
		row[5], row[6], row[7] = int64(v.end), v.endCommit, v.endOp
	}
	e.odd.reset()
	for i, p := range e.d.Physical {
		value, fits := e.t.columns[p].put(v.row[i])
		if !fits {
			e.odd.add(p, v.row[i])
		}
		cells[p] = value
	}
	if e.keyless || len(e.odd.cells) > 0 {
		for i, p := range e.d.KeyPhysical {
			value, fits := e.t.columns[p].put(v.key[i])
			if !fits {
				e.odd.addKey(p, v.key[i])
			}
			if e.keyless {
				cells[p] = value
			}
		}
	}
	row[0], row[1], row[2], row[3], row[4] = oddText(e.odd.cells), oddText(e.odd.key), int64(v.lsn), v.commit, v.op
	return row
}
