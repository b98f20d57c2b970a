package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A definition is a table's definition from its number on.
type definition struct {
	n       int64
	table   string
	op      dbms.Op
	sql     string
	renamed string
	columns []string
	key     []string
	relid   int64
	history int64 // OID of the history table into which its changes go, or 0
	shape   shape
	stamp   string
	// defaults are those of dbms.Change.
	defaults []dbms.Value
}

// definitions follows a statement that changed definitions, in its
// transaction: it records what is new and gives tables what capture needs.
func (h *history) definitions(ctx context.Context, tx executor) error {
	state, err := h.state(ctx, tx)
	if err != nil {
		return err
	}
	return h.reconcile(ctx, tx, state.capture, false)
}

// reconcile compares the tables with their definitions as recorded. fresh says
// that history begins here: no table is known, and the rows that tables have
// are from before.
func (h *history) reconcile(ctx context.Context, tx executor, capture string, fresh bool) error {
	// One at a time, so that what is known and what is there belong together.
	if err := h.lock(ctx, tx, "definitions"); err != nil {
		return err
	}
	relations, err := h.relations(ctx, tx)
	if err != nil {
		return err
	}
	for _, r := range relations {
		if err := h.checkRelation(r); err != nil {
			return err
		}
	}
	if capture == captureOff {
		return nil
	}
	known := map[int64]definition{}
	if !fresh {
		if known, err = h.known(ctx, tx); err != nil {
			return err
		}
	}
	rec := &reconciler{h: h, tx: tx, capture: capture, known: known, fresh: fresh}
	if err := rec.dropped(ctx, relations); err != nil {
		return err
	}
	for _, r := range rec.order(relations) {
		if err := rec.table(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// reservedPrefixes begin the names of the system's tables.
var reservedPrefixes = []string{"dbos_", "h_", "sched_", "wf_", "ipc_", "fs_", "auth_", "prov_"}

// checkRelation refuses what an application has made under the system's names.
func (h *history) checkRelation(r relation) error {
	if r.owner != h.app {
		return nil
	}
	for _, prefix := range reservedPrefixes {
		if strings.HasPrefix(strings.ToLower(r.name), prefix) {
			return abi.Errorf("postgres.define", abi.Denied, "table "+r.name, "names beginning with %s are the system's", prefix).
				WithHint("choose another name")
		}
	}
	return nil
}

// checkShape refuses tables of which no history can be kept.
func checkShape(name string, r relation, s shape) error {
	for _, c := range s.Columns {
		if strings.HasPrefix(strings.ToLower(c.Name), "dbos_") {
			return abi.Errorf("postgres.define", abi.Denied, "column "+c.Name+" of table "+name, "column names beginning with dbos_ are the system's").
				WithHint("choose another name")
		}
	}
	switch {
	case r.kind == "p" || r.inherits:
		return abi.Errorf("postgres.define", abi.Denied, "table "+name, "history is not kept of partitioned and inherited tables").
			WithHint("make it one table")
	case r.persistence == "u":
		return abi.Errorf("postgres.define", abi.Denied, "table "+name, "an unlogged table is emptied by a crash, which no history could tell").
			WithHint("leave UNLOGGED out, or make a temporary table")
	}
	return nil
}

// known are the definitions in force, by the table's OID.
func (h *history) known(ctx context.Context, tx executor) (map[int64]definition, error) {
	rows, err := tx.query(ctx, `SELECT DISTINCT ON (relid) `+definitionColumns+` FROM dbos_definition d ORDER BY relid, n DESC`)
	if err != nil {
		return nil, err
	}
	known := map[int64]definition{}
	for _, r := range rows {
		d, err := scanDefinition(r)
		if err != nil {
			return nil, err
		}
		if d.op != dbms.Drop {
			known[d.relid] = d
		}
	}
	return known, nil
}

// stamp gives definitions the LSN of their commit, which was not known when
// they were recorded; 0 if their transaction has none. It looks at the commits
// since the last time only, so that no index need be kept of their numbers.
func (h *history) stamp(ctx context.Context) error {
	rows, err := h.sql.query(ctx, `SELECT coalesce((SELECT value FROM dbos_history WHERE key = 'stamped'), '0')::bigint WHERE EXISTS
		(SELECT FROM dbos_definition WHERE lsn IS NULL)`)
	if err != nil || len(rows) == 0 {
		return err
	}
	// What has ended by now is seen by the statement after it.
	ended, err := h.barrier(ctx)
	if err != nil {
		return err
	}
	return h.transact(ctx, func(tx executor) error {
		err := tx.exec(ctx, `UPDATE dbos_definition d SET lsn = s.lsn FROM
			(SELECT n.n, coalesce(min(t.lsn), 0) AS lsn FROM dbos_definition n
			LEFT JOIN dbos_transaction t ON t.xid = n.xid AND t.lsn > $1 WHERE n.lsn IS NULL GROUP BY n.n) s
			WHERE d.n = s.n`, rows[0][0])
		if err != nil {
			return err
		}
		return h.set(ctx, tx, "stamped", fmt.Sprint(int64(ended)))
	})
}

// definitionColumns are what scanDefinition takes.
const definitionColumns = `d.n, d.name, d.op, coalesce(d.sql, ''), coalesce(d.renamed, ''), coalesce(d.columns, '[]'), coalesce(d.key, '[]'),
	d.relid, d.history, coalesce(d.shape, '{}'), d.stamp, d.defaults`

func scanDefinition(r []dbms.Value) (definition, error) {
	d := definition{
		n: r[0].(int64), table: r[1].(string), op: dbms.Op(r[2].(string)), sql: r[3].(string), renamed: r[4].(string),
		relid: r[7].(int64), history: r[8].(int64), stamp: r[10].(string),
	}
	for i, dest := range map[int]any{5: &d.columns, 6: &d.key, 9: &d.shape} {
		if err := json.Unmarshal([]byte(r[i].(string)), dest); err != nil {
			return d, abi.Errorf("dbms.changes", abi.Corrupt, "definition of table "+d.table, "%w", err)
		}
	}
	if text, ok := r[11].(string); ok {
		var err error
		if d.defaults, err = dbms.UnmarshalValues([]byte(text)); err != nil {
			return d, err
		}
	}
	return d, nil
}

// A reconciler records what has changed.
type reconciler struct {
	h       *history
	tx      executor
	capture string
	known   map[int64]definition
	fresh   bool
}

// dropped records the tables that are gone.
func (rec *reconciler) dropped(ctx context.Context, relations []relation) error {
	for _, relid := range sortedKeys(rec.known) {
		d := rec.known[relid]
		if slices.ContainsFunc(relations, func(r relation) bool { return r.oid == relid && r.tracked() }) {
			continue
		}
		if err := rec.recordDrop(ctx, d); err != nil {
			return err
		}
		delete(rec.known, relid)
	}
	return nil
}

// order puts a table whose new name another one had behind that one.
func (rec *reconciler) order(relations []relation) []relation {
	holder := map[string]int64{}
	for relid, d := range rec.known {
		holder[d.table] = relid
	}
	byOID := map[int64]relation{}
	for _, r := range relations {
		byOID[r.oid] = r
	}
	var list []relation
	placed := map[int64]bool{}
	var place func(r relation)
	place = func(r relation) {
		if placed[r.oid] {
			return
		}
		placed[r.oid] = true
		if other, ok := holder[r.name]; ok && other != r.oid {
			place(byOID[other])
		}
		if r.tracked() {
			list = append(list, r)
		}
	}
	for _, r := range relations {
		place(r)
	}
	return list
}

// table records one table, if it has changed.
func (rec *reconciler) table(ctx context.Context, r relation) error {
	old, known := rec.known[r.oid]
	if known && old.table == r.name && old.stamp == r.stamp && rec.captured(r, old) {
		return nil
	}
	now, err := readTable(ctx, rec.tx, r.oid)
	if err != nil {
		return err
	}
	if err := checkShape(r.name, r, now); err != nil {
		return err
	}
	t := &target{relation: r, shape: now}
	switch {
	case !known:
		return rec.created(ctx, t)
	case rekeyed(old.shape, now):
		return rec.rebuilt(ctx, t, old)
	default:
		return rec.changed(ctx, t, old)
	}
}

// A target is a table as it is now.
type target struct {
	relation
	shape   shape
	history historyTable // if it has one
}

func (rec *reconciler) created(ctx context.Context, t *target) error {
	// The rows of CREATE TABLE … AS SELECT were there before anything could
	// follow them. Those from before history begins are not in it.
	filled, err := rec.filled(ctx, t)
	if err != nil {
		return err
	}
	filled = filled && !rec.fresh
	if err := rec.equip(ctx, t, definition{}, filled); err != nil {
		return err
	}
	if err := rec.record(ctx, t, "", t.shape, nil); err != nil || !filled {
		return err
	}
	return rec.copyRows(ctx, t, dbms.Insert)
}

// rekeyed reports whether rows may have got other identities.
func rekeyed(old, now shape) bool {
	if !slices.Equal(old.Key, now.Key) {
		return true
	}
	if len(now.Key) == 0 {
		_, refresh := stepsBetween(old, now) // an update would not say of which rows
		return refresh || old.File != now.File
	}
	for _, number := range now.Key {
		a, _ := old.column(number)
		b, _ := now.column(number)
		if a.converted(b, old.File != now.File) {
			return true
		}
	}
	return false
}

// rebuilt records that rows have got other identities: as if the table were
// another one.
func (rec *reconciler) rebuilt(ctx context.Context, t *target, old definition) error {
	if err := rec.recordDrop(ctx, old); err != nil {
		return err
	}
	filled, err := rec.filled(ctx, t)
	if err != nil {
		return err
	}
	if err := rec.equip(ctx, t, old, filled); err != nil {
		return err
	}
	if err := rec.record(ctx, t, "", t.shape, nil); err != nil || !filled {
		return err
	}
	return rec.copyRows(ctx, t, dbms.Insert)
}

// changed records what has become of a table, one step after the other: its
// name, columns that are gone, other names, columns that are new.
func (rec *reconciler) changed(ctx context.Context, t *target, old definition) error {
	steps, refresh := stepsBetween(old.shape, t.shape)
	if len(steps) == 0 && old.table == t.name && rec.captured(t.relation, old) {
		// Nothing that concerns readers, or the triggers.
		return rec.tx.exec(ctx, "UPDATE dbos_definition SET stamp = $1, shape = $2 WHERE n = (SELECT max(n) FROM dbos_definition WHERE relid = $3)",
			t.stamp, mustJSON(t.shape), t.oid)
	}
	if err := rec.equip(ctx, t, old, refresh); err != nil {
		return err
	}
	if old.table != t.name {
		if err := rec.record(ctx, t, old.table, old.shape, nil); err != nil {
			return err
		}
	}
	before := old.shape
	for _, s := range steps {
		defaults, err := rec.defaults(ctx, t, before, s)
		if err != nil {
			return err
		}
		if err := rec.record(ctx, t, "", s, defaults); err != nil {
			return err
		}
		before = s
	}
	if len(steps) == 0 && (old.stamp != t.stamp || old.history != t.history.oid) {
		// Nothing that readers see, but known from now on.
		err := rec.tx.exec(ctx, `UPDATE dbos_definition SET stamp = $1, shape = $2, history = $3
			WHERE n = (SELECT max(n) FROM dbos_definition WHERE relid = $4)`, t.stamp, mustJSON(t.shape), t.history.oid, t.oid)
		if err != nil {
			return err
		}
	}
	if refresh {
		return rec.copyRows(ctx, t, dbms.Update)
	}
	return nil
}

// stepsBetween are the definitions that lead from one shape to another, each
// with one column less or more or with other names, and whether values in
// rows have become others on the way.
func stepsBetween(from, to shape) (steps []shape, refresh bool) {
	step := func(columns []column) {
		s := to
		s.Columns = slices.Clone(columns)
		steps = append(steps, s)
	}
	remaining := slices.Clone(from.Columns)
	var kept []column // the remaining ones as they are now
	for _, c := range from.Columns {
		now, ok := to.column(c.Number)
		if !ok {
			remaining = slices.DeleteFunc(remaining, func(x column) bool { return x.Number == c.Number })
			step(remaining)
			continue
		}
		refresh = refresh || c.converted(now, from.File != to.File)
		kept = append(kept, now)
	}
	added := to.Columns[len(kept):]
	if !slices.Equal(remaining, kept) || len(steps)+len(added) == 0 && from.ddl("") != to.ddl("") {
		step(kept)
	}
	for _, c := range added {
		kept = append(kept, c)
		refresh = refresh || !c.constant()
		step(kept)
	}
	return steps, refresh
}

// record writes a definition. defaults is what rows from before have in its
// new columns, or nil.
func (rec *reconciler) record(ctx context.Context, t *target, renamed string, s shape, defaults any) error {
	return rec.tx.exec(ctx, `INSERT INTO dbos_definition (lsn, name, op, sql, renamed, columns, key, relid, history, shape, stamp, defaults)
		VALUES ($1, $2, 'define', $3, nullif($4, ''), $5, $6, $7, $8, $9, $10, $11)`,
		rec.baseline(), t.name, s.ddl(t.name), renamed, mustJSON(s.names()), mustJSON(s.keyNames()), t.oid, t.history.oid, mustJSON(s), t.stamp, defaults)
}

// defaults is what the rows of a table have in columns that one of its shapes
// has and the one before has not, as text of dbms.MarshalValues, or nil if
// there are none. It is one value for all rows, so any of them tells: where it
// differs by row, the rows are recorded as updates.
func (rec *reconciler) defaults(ctx context.Context, t *target, before, now shape) (any, error) {
	columns := now.stored()
	values := make([]dbms.Value, len(columns))
	added := false
	for i, c := range columns {
		if _, ok := before.column(c.Number); ok {
			continue
		}
		rows, err := rec.tx.query(ctx, "SELECT "+quoteName(c.Name)+" FROM "+quoteName(t.name)+" LIMIT 1")
		if err != nil {
			return nil, err
		}
		if len(rows) == 1 {
			added, values[i] = true, rows[0][0]
		}
	}
	if !added {
		return nil, nil
	}
	return string(dbms.MarshalValues(values)), nil
}

func (rec *reconciler) recordDrop(ctx context.Context, d definition) error {
	return rec.tx.exec(ctx, `INSERT INTO dbos_definition (lsn, name, op, relid, history) VALUES ($1, $2, 'drop', $3, $4)`,
		rec.baseline(), d.table, d.relid, d.history)
}

// baseline is the LSN of definitions that are from before history begins.
func (rec *reconciler) baseline() any {
	if rec.fresh {
		return int64(0)
	}
	return nil
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("%T cannot be JSON: %v", v, err)) // strings and numbers always can
	}
	return string(b)
}

func sortedKeys[V any](m map[int64]V) []int64 {
	keys := make([]int64, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
