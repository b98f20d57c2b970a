package undo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// An executor runs commits' statements again and keeps nothing of it.
type executor interface {
	// run runs the statements of c, one after the other, on the state as of an
	// LSN with some rows as they shall be instead.
	run(ctx context.Context, at dbms.LSN, instead []state, c *commit) (*effect, error)
}

// A schema is what the tables' definitions say about statements and rows.
type schema interface {
	// reach returns the tables that a statement may read or change.
	reach(s statement) []string
	// connected returns the tables with which foreign keys, whatever their
	// direction and number, connect some.
	connected(tables []string) []string
	// rank is less than that of the tables that a table refers to.
	rank(table string) int
	// parents returns the rows that a row refers to by foreign keys.
	parents(table string, r row) []rowID
}

// A work is an execution, or a transaction outside of one, that matters.
type work struct {
	Link
	from    dbms.LSN // its commits after this one are taken back, if Undone
	earlier bool     // it was undone before
}

// A walk goes through the history after the seeds' beginning, commit by
// commit, and keeps what would be different without them: it decides, and
// does nothing. When it finds that more work must go, it goes back to where that
// begins and decides again. When it finds that a row must stay, it takes it as it is from there on, and
// decides everything once more at the end. Work and such rows only ever join, so it ends.
type walk struct {
	policy Policy
	tape   *tape
	x      executor
	schema schema
	// named says why a commit is a seed, or "".
	named func(c *commit) string
	// before is what was undone before; nil if nothing was.
	before *earlier

	pos dbms.LSN // all commits up to here are decided
	// again is where to decide once more from, because a row was pinned since, or
	// latest.
	again dbms.LSN
	works map[string]*work
	over  overlay
	// pins are rows that stay as they are, and keep rows that must not vanish
	// because pinned rows refer to them.
	pins, keep map[rowID]bool
	// accepted are commits that followed and stay, for whose sake no row can.
	accepted map[dbms.LSN]bool
	pinned   []Conflict // why rows are pinned

	undecided map[dbms.LSN]Conflict
	ran       map[dbms.LSN]bool // commits that ran again: do they stay?
	blind     map[dbms.LSN]bool // changed rows, and what they read is not known
	// overwritten are rows that an earlier undo has written: see repairedBefore.
	overwritten map[rowID]Conflict
	keyless     map[string]bool // tables without a primary key that seeds changed
	probes      int             // left: how many more runs may go into finding causes
}

func newWalk(policy Policy, t *tape, x executor, s schema, named func(*commit) string) *walk {
	return &walk{again: latest, policy: policy, tape: t, x: x, schema: s, named: named, works: map[string]*work{},
		pins: map[rowID]bool{}, keep: map[rowID]bool{}, accepted: map[dbms.LSN]bool{},
		undecided: map[dbms.LSN]Conflict{}, ran: map[dbms.LSN]bool{}, blind: map[dbms.LSN]bool{}, keyless: map[string]bool{}, overwritten: map[rowID]Conflict{}, probes: maxProbes}
}

// advance decides all commits up to an LSN. progress may be nil.
func (w *walk) advance(ctx context.Context, upto dbms.LSN, progress func(pos dbms.LSN)) error {
	for {
		c, err := w.tape.next(ctx, w.pos, upto)
		if err != nil {
			return err
		}
		if c == nil && w.again != latest {
			w.rewind(w.again)
			w.again = latest
			continue
		}
		if c == nil {
			w.pos = max(w.pos, upto)
			return nil
		}
		back, err := w.step(ctx, c)
		if err != nil {
			return err
		}
		if back != stay {
			w.rewind(back)
			continue
		}
		w.pos = c.lsn
		if progress != nil {
			progress(w.pos)
		}
	}
}

// stay is no LSN to go back to.
const stay = dbms.LSN(-1)

func (w *walk) rewind(to dbms.LSN) {
	w.over.rewind(to)
	for lsn := range w.undecided {
		if lsn > to {
			delete(w.undecided, lsn)
		}
	}
	for id, c := range w.overwritten {
		if c.LSN > to {
			delete(w.overwritten, id)
		}
	}
	for lsn := range w.blind {
		if lsn > to {
			delete(w.blind, lsn)
		}
	}
	w.pos = min(w.pos, to)
}

// step decides one commit. It returns where to go back to, or stay.
func (w *walk) step(ctx context.Context, c *commit) (dbms.LSN, error) {
	u := w.works[c.work()]
	if u == nil || !u.Undone {
		if why := w.named(c); why != "" {
			u = w.join(c, &work{Link: Link{Seed: true, Why: why}, from: c.lsn - 1})
		} else if first, ok := w.before.work(c.work()); ok && c.lsn >= first {
			u = w.join(c, &work{Link: Link{Seed: true, Why: "it was undone before"}, from: first - 1, earlier: true})
		}
	}
	if u != nil && u.Undone && c.lsn > u.from {
		w.takeBack(c, u)
		return stay, nil
	}
	f, err := w.examine(ctx, c)
	if err != nil || f == nil {
		return stay, err
	}
	return w.followed(ctx, c, f)
}

// join enters a commit's work among those that matter.
func (w *walk) join(c *commit, u *work) *work {
	u.Execution, u.Name, u.Principal, u.LSN, u.At = c.call.Execution, c.call.Procedure, c.call.Principal, c.lsn, c.at
	u.Undone = u.Undone || u.Seed
	w.works[c.work()] = u
	return u
}

// takeBack notes that a commit's changes would not be there.
func (w *walk) takeBack(c *commit, u *work) {
	if _, ok := w.ran[c.lsn]; ok { // it was innocent by itself, but its work is not
		w.ran[c.lsn] = false
	}
	if u.Name == "" { // it was known before its first commit came
		u.Name, u.Principal = c.call.Procedure, c.call.Principal
	}
	for _, t := range c.keyless {
		w.keyless[t] = true
	}
	for _, run := range c.started {
		if started := w.works[run]; started == nil || !started.Undone {
			w.works[run] = &work{earlier: u.earlier, Link: Link{Execution: run, LSN: c.lsn, At: c.at, Seed: u.Seed, Undone: true, Follows: c.work(), Why: "it was started by " + name(c)}}
		}
	}
	for _, ch := range c.changes {
		w.set(c.lsn, merged{ch.id, ch.key, ch.after, w.over.get(ch.id, latest).orBefore(ch)}, u)
	}
}

// orBefore is what the row would be if the change were not made.
func (v *version) orBefore(ch change) row {
	if v.tainted() {
		return v.repaired
	}
	return ch.before
}

// set notes what a row is and would be, unless it must stay.
func (w *walk) set(lsn dbms.LSN, m merged, origin *work) {
	if w.pins[m.id] {
		return
	}
	if m.repaired == nil && m.actual != nil && w.keep[m.id] {
		w.pin(m.id, m.key, m.actual, Conflict{Problem: "a row that stays refers to it, so it stays"})
		return
	}
	w.over.set(lsn, m.id, m.key, m.actual, m.repaired, origin)
}

// differs returns the entries of tables that are tainted as of an LSN and need
// not stay.
func (w *walk) differs(at dbms.LSN, tables []string) []*entry {
	return slices.DeleteFunc(w.over.differs(at, tables), func(e *entry) bool { return w.pins[e.id] })
}

// A finding is that a commit followed from the seeds.
type finding struct {
	why string
	// rows are those that it depended on, as of an LSN, and from the work that it
	// followed from, if that is not the rows' origin.
	rows []*entry
	at   dbms.LSN
	from string
}

// examine finds out whether a commit followed from what is taken back. If it
// did not, it notes what the commit makes of the repaired rows, and returns nil.
func (w *walk) examine(ctx context.Context, c *commit) (*finding, error) {
	if !w.accepted[c.lsn] {
		for _, run := range c.outcomes {
			if u := w.works[run]; u != nil && u.Undone {
				return &finding{why: "it read the outcome of run " + run, from: run}, nil
			}
		}
	}
	if len(c.changes) > 0 && !c.recorded && !c.repairs() {
		w.blind[c.lsn] = true
	}
	if tables := w.tables(c); w.over.anyDiffers(c.snapshot, tables) || w.over.anyDiffers(latest, tables) {
		if c.cut != "" {
			w.undecided[c.lsn] = conflictOf(c, "what it read is not known ("+c.cut+"); it stays unless it changed the same rows")
		} else if done, f, err := w.repeat(ctx, c, tables); done || f != nil || err != nil {
			return f, err
		}
	}
	return w.opaque(c, nil), nil
}

// tables are the tables with repaired rows that a commit's statements reach.
func (w *walk) tables(c *commit) []string {
	var tables []string
	seen := map[string]bool{}
	for _, s := range c.statements {
		for _, t := range w.schema.reach(s) {
			if !seen[t] && len(w.over.tables[t]) > 0 {
				tables = append(tables, t)
			}
			seen[t] = true
		}
	}
	return tables
}

// A view is a state that a commit may have seen, and what is repaired in it.
type view struct {
	at      dbms.LSN
	entries []*entry
	a       *effect // of the statements, on the state as it was
}

// repeat runs a commit's statements on what they saw and on what they would
// have seen. It is done unless that shows nothing.
func (w *walk) repeat(ctx context.Context, c *commit, tables []string) (done bool, _ *finding, _ error) {
	views, problem, err := w.views(ctx, c, tables)
	if err != nil {
		return false, nil, err
	}
	if len(views) == 0 && problem == "" {
		return false, nil, nil
	}
	if len(views) == 0 {
		w.undecided[c.lsn] = conflictOf(c, problem+"; it stays unless it changed the same rows")
		return false, nil, nil
	}
	var s sight
	for _, v := range views {
		s = sight{c: c, a: v.a, b: v.a, before: func(id rowID) *version { return w.over.get(id, v.at) }}
		if len(v.entries) == 0 {
			continue
		}
		if s.b, err = w.x.run(ctx, v.at, repaired(v.entries, v.at), c); err != nil {
			return false, nil, err
		}
		why := s.difference()
		if why != "" {
			// Once more: the clock or chance may have made the difference.
			if s.again, err = w.x.run(ctx, v.at, nil, c); err != nil {
				return false, nil, err
			}
			why = s.difference()
		}
		if why != "" {
			w.ran[c.lsn] = false
			f, err := w.causes(ctx, s, v, why)
			return true, f, err
		}
	}
	if f := w.opaque(c, s.a.touched); f != nil {
		return true, f, nil
	}
	w.ran[c.lsn] = true
	v := views[len(views)-1]
	var origin *work
	if len(v.entries) > 0 {
		origin = v.entries[0].as(v.at).origin
	}
	for _, m := range merge(c, s.a, s.b, s.before) {
		from := origin
		if v := w.over.get(m.id, latest); v.tainted() {
			from = v.origin
		}
		w.set(c.lsn, m, from)
	}
	return true, nil, nil
}

// views returns the states that a commit may have seen: that of its snapshot
// and, if others committed meanwhile to the tables that it looked at, of which it may
// have seen some, the one before it. Of two, one that explains better what the commit
// did is the one. None is left if none explains it; then problem says why.
func (w *walk) views(ctx context.Context, c *commit, tables []string) (list []view, problem string, err error) {
	states := []dbms.LSN{c.snapshot}
	overlapped, err := w.overlapped(ctx, c, tables)
	if err != nil {
		return nil, "", err
	}
	if overlapped {
		states = append(states, c.lsn-1)
	}
	entries, repaired, exact := make([][]*entry, len(states)), 0, false
	for i, at := range states {
		entries[i] = w.differs(at, w.schema.connected(tables))
		repaired += len(entries[i])
	}
	if repaired == 0 {
		return nil, "", nil
	}
	for i, at := range states {
		v := view{at: at, entries: entries[i]}
		if v.a, err = w.x.run(ctx, at, nil, c); err != nil {
			return nil, "", err
		}
		p := unrepeatable(c, v.a)
		if p != "" {
			problem = p
			continue
		}
		switch better := explains(c, v.a); {
		case better && !exact:
			list, exact = []view{v}, true
		case better == exact:
			list = append(list, v)
		}
	}
	return list, problem, nil
}

// overlapped reports whether a transaction that committed while another ran
// changed one of some tables.
func (w *walk) overlapped(ctx context.Context, c *commit, tables []string) (bool, error) {
	for at := c.snapshot; ; {
		other, err := w.tape.next(ctx, at, c.lsn-1)
		if err != nil || other == nil {
			return false, err
		}
		for _, ch := range other.changes {
			if slices.Contains(tables, ch.id.table) {
				return true, nil
			}
		}
		at = other.lsn
	}
}

// opaque looks at what a commit changed other than by the statements that were
// repeated: whether it changed a row that is repaired, or refers to one that would
// not be there.
func (w *walk) opaque(c *commit, repeated map[rowID]touch) *finding {
	for _, ch := range c.changes {
		if _, ok := repeated[ch.id]; ok || w.pins[ch.id] {
			continue
		}
		v := w.over.get(ch.id, latest)
		if v != nil && c.repairs() {
			w.repairedBefore(c, ch, v)
			continue
		}
		if v.tainted() {
			return &finding{why: fmt.Sprintf("it changed row %s of %s", shown(ch.key), ch.id.table),
				rows: []*entry{w.over.tables[ch.id.table][ch.id.key]}, at: latest}
		}
		if ch.after == nil {
			continue
		}
		for _, id := range w.schema.parents(ch.id.table, ch.after) {
			if v := w.over.get(id, latest); !w.pins[id] && v.tainted() && v.repaired == nil {
				e := w.over.tables[id.table][id.key]
				return &finding{why: fmt.Sprintf("its row %s of %s refers to row %s of %s", shown(ch.key), ch.id.table, shown(e.key), id.table),
					rows: []*entry{e}, at: latest}
			}
		}
	}
	return nil
}

// repairs reports whether a commit is an earlier undo or restore: whoever made
// it decided about the rows already.
func (c *commit) repairs() bool {
	return len(c.statements) == 0 && (c.call.Procedure == Procedure || c.call.Procedure == "prov.restore")
}

// repairedBefore notes what a row would be that an earlier undo or restore has
// written. If it is what it once was, it would be what it would have been at that time. If it is
// something else, it is as whoever wrote it decided: then what should be taken back
// of it cannot be told apart, and it stays.
func (w *walk) repairedBefore(c *commit, ch change, v *version) {
	if w.before != nil && w.before.undos[c.undo] {
		w.over.set(c.lsn, ch.id, ch.key, ch.after, v.repaired, v.origin)
		return
	}
	repaired, origin := ch.after, v.origin
	versions := w.over.tables[ch.id.table][ch.id.key].versions
	for i := len(versions) - 1; i >= 0; i-- {
		if sameRow(versions[i].actual, ch.after) {
			repaired = versions[i].repaired
			break
		}
	}
	if v.tainted() && sameRow(repaired, ch.after) && !sameRow(v.repaired, ch.after) {
		conflict := conflictOf(c, "an earlier "+strings.TrimPrefix(c.call.Procedure, "prov.")+" has written the row since: what is to be taken back of it stays")
		conflict.Table, conflict.Key = ch.id.table, shown(ch.key)
		w.overwritten[ch.id] = conflict
	}
	w.over.set(c.lsn, ch.id, ch.key, ch.after, repaired, origin)
}

// followed decides what becomes of a commit that followed.
func (w *walk) followed(ctx context.Context, c *commit, f *finding) (dbms.LSN, error) {
	u := w.works[c.work()]
	if u == nil {
		u = w.join(c, &work{Link: Link{Why: f.why, Follows: f.from}})
		if f.from == "" && len(f.rows) > 0 {
			if origin := f.rows[0].as(f.at).origin; origin != nil {
				u.Follows = origin.key()
			}
		}
	}
	if w.policy != OnlyUntouched {
		u.Undone, u.from = true, 0
		first, err := w.first(ctx, c)
		u.LSN = min(u.LSN, first)
		return first - 1, err
	}
	if len(f.rows) == 0 {
		w.accepted[c.lsn] = true
		w.pinned = append(w.pinned, conflictOf(c, f.why+", and stays"))
		return c.lsn - 1, nil
	}
	for _, e := range f.rows {
		problem := fmt.Sprintf("%s depends on it: %s", name(c), f.why)
		w.pin(e.id, e.key, e.as(f.at).actual, Conflict{Execution: c.call.Execution, LSN: c.lsn, Problem: problem})
	}
	return c.lsn - 1, nil // once more, without these
}

// pin lets a row stay as it is, and those that it refers to.
func (w *walk) pin(id rowID, key []dbms.Value, actual row, why Conflict) {
	if w.pins[id] {
		return
	}
	w.pins[id] = true
	why.Table, why.Key = id.table, shown(key)
	w.pinned = append(w.pinned, why)
	rows := []row{actual}
	if e := w.over.tables[id.table][id.key]; e != nil {
		w.again = min(w.again, e.versions[0].lsn-1)
		for _, v := range e.versions {
			rows = append(rows, v.actual)
		}
	}
	for _, r := range rows {
		if r == nil {
			continue
		}
		for _, parent := range w.schema.parents(id.table, r) {
			w.keep[parent] = true
			if v := w.over.get(parent, latest); v.tainted() && v.repaired == nil {
				e := w.over.tables[parent.table][parent.key]
				w.pin(parent, e.key, v.actual, Conflict{Problem: "a row that stays refers to it, so it stays"})
			}
		}
	}
}

// first is the LSN of the first commit of a commit's work.
func (w *walk) first(ctx context.Context, c *commit) (dbms.LSN, error) {
	if c.call.Execution == "" {
		return c.lsn, nil
	}
	first, err := w.tape.h.first(ctx, c.call.Execution)
	if err != nil || first == 0 {
		return c.lsn, err
	}
	return min(first, c.lsn), nil
}

// key is how others refer to the work.
func (l *Link) key() string {
	if l.Execution != "" {
		return l.Execution
	}
	return fmt.Sprintf("LSN %d", l.LSN)
}

// name names a commit's work for people.
func name(c *commit) string {
	if c.call.Execution != "" {
		return "run " + c.call.Execution
	}
	return fmt.Sprintf("%s (LSN %d)", c.call.Procedure, c.lsn)
}

func conflictOf(c *commit, problem string) Conflict {
	return Conflict{Execution: c.call.Execution, LSN: c.lsn, Problem: strings.TrimSpace(problem)}
}

// errLost says that the history contradicts itself.
func errLost(what string) error {
	return abi.Errorf("prov.undo", abi.Corrupt, "history", "%s", what)
}
