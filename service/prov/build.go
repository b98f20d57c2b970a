package prov

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// left are the tables that a copy does not get: who executes the source's
// runs, and which warehouses follow it.
var left = []string{"sched_worker", "prov_warehouse"}

// An extra is what a database has besides tables and rows. Extras are made of
// their present definitions: history has tables' only.
type extra struct {
	what string // for people
	text string
}

// A building fills a database with the tables and rows as of a moment.
type building struct {
	past     past
	source   *Service
	target   dbms.DB
	dialect  dialect
	at       dbms.LSN
	tables   []warehouse.Table
	before   []extra // what tables may need
	after    []extra
	moved    [][]dbms.Value // the application's migrations
	progress func(Progress)
	report   *ForkReport
}

// newBuilding looks at what there is to build, which the source's engine must
// be able to make.
func newBuilding(ctx context.Context, s *Service, p past, target dbms.DB, at Moment) (*building, error) {
	b := &building{past: p, source: s, target: target, at: at.LSN, progress: func(Progress) {}}
	from, to := s.db.Status(), target.Status()
	if from.Engine != to.Engine {
		return nil, abi.Errorf("prov.fork", abi.Unsupported, "engine "+to.Engine, "the source's is %s", from.Engine).
			WithHint("fork to the same engine, and move the fork with dbos migrate")
	}
	var err error
	if b.dialect, err = dialectOf(target); err != nil {
		return nil, err
	}
	tables, err := p.Tables(ctx, at.LSN)
	if err != nil {
		return nil, err
	}
	for _, t := range inOrder(tables) {
		if !slices.Contains(left, strings.ToLower(t.Name)) {
			b.tables = append(b.tables, t)
		}
	}
	err = s.db.View(ctx, func(tx dbms.Tx) error {
		if b.before, b.after, err = b.dialect.extras(tx); err != nil {
			return err
		}
		b.moved = nil
		return each(tx, migrationRead, func(row []dbms.Value) error {
			b.moved = append(b.moved, row)
			return nil
		}, at.Time)
	})
	return b, err
}

var (
	migrationRead = dbms.System(`SELECT owner, version, name, digest, applied_at FROM dbos_migration
		WHERE owner LIKE 'app:%' AND applied_at <= $1 ORDER BY owner, version`)
	migrationForget = dbms.System(`DELETE FROM dbos_migration WHERE owner LIKE 'app:%'`)
	migrationWrite  = dbms.System(`INSERT INTO dbos_migration (owner, version, name, digest, applied_at) VALUES ($1, $2, $3, $4, $5)`)
	references      = regexp.MustCompile(`(?i)\bREFERENCES\s+("(?:[^"]|"")*"|[\pL\d_$]+)`)
)

// inOrder sorts tables so that each comes after those that it refers to, as far
// as its definition tells.
func inOrder(tables []warehouse.Table) []warehouse.Table {
	var sorted []warehouse.Table
	visited := map[string]bool{}
	var visit func(t warehouse.Table)
	visit = func(t warehouse.Table) {
		if visited[t.Name] {
			return
		}
		visited[t.Name] = true
		for _, m := range references.FindAllStringSubmatch(t.Schema, -1) {
			name := strings.ReplaceAll(strings.Trim(m[1], `"`), `""`, `"`)
			if parent := findTable(tables, name); parent != nil {
				visit(*parent)
			}
		}
		sorted = append(sorted, t)
	}
	for _, t := range tables {
		visit(t)
	}
	return sorted
}

// run fills the target in one transaction of its own. It may run more than once.
func (b *building) run(ctx context.Context, tx dbms.Tx) error {
	b.report = &ForkReport{Location: b.target.Status().Location, Tables: []ForkTable{}}
	there, err := b.target.Tables(tx)
	if err != nil {
		return err
	}
	for _, x := range b.before {
		if _, err := tx.Exec(dbms.SQL(x.text)); err != nil && !refused(err) {
			return err
		}
	}
	q := &quietude{tx: tx, dialect: b.dialect}
	shapes := map[string]*shape{}
	for _, t := range b.tables {
		if shapes[t.Name], err = b.table(tx, t, there); err != nil {
			return err
		}
	}
	for _, t := range b.tables {
		if err := q.begin(t.Name); err != nil {
			return err
		}
		if err := b.fill(ctx, tx, t, shapes[t.Name]); err != nil {
			return err
		}
	}
	if err := q.end(); err != nil {
		return err
	}
	return b.finish(tx)
}

// refused says that the engine did not take a definition.
func refused(err error) bool {
	switch abi.KindOf(err) {
	case abi.Canceled, abi.Unavailable, abi.Timeout, abi.Closed:
		return false
	}
	return true
}

// table makes a table, or finds a service's, which must be empty.
func (b *building) table(tx dbms.Tx, t warehouse.Table, there []dbms.Change) (*shape, error) {
	i := slices.IndexFunc(there, func(c dbms.Change) bool { return strings.EqualFold(c.Table, t.Name) })
	target := dbms.Change{Table: t.Name, Columns: t.Columns, KeyColumns: t.KeyColumns}
	switch {
	case i < 0 && IsService(t.Name):
		return nil, abi.Errorf("prov.fork", abi.Conflict, "table "+t.Name, "the target has no such table of the system").
			WithHint("the program is older than the data: use the newer one")
	case i < 0:
		if _, err := tx.Exec(dbms.SQL(t.Schema)); err != nil {
			return nil, abi.Errorf("prov.fork", abi.KindOf(err), "table "+t.Name, "it cannot be made: %w", err).WithHint("%s", abi.HintOf(err))
		}
	case !IsService(t.Name):
		return nil, abi.Errorf("prov.fork", abi.Exists, "table "+t.Name, "the target has one").WithHint("fork into an empty directory or database")
	default:
		target = there[i]
		if strings.EqualFold(t.Name, fenceTable) {
			if _, err := tx.Exec(dbms.System("DELETE FROM " + quote(t.Name))); err != nil {
				return nil, err
			}
		}
		var rows int64
		err := each(tx, dbms.System("SELECT count(*) FROM "+quote(t.Name)), func(row []dbms.Value) error { rows = numberOf(row[0]); return nil })
		if err != nil {
			return nil, err
		}
		if rows > 0 {
			return nil, abi.Errorf("prov.fork", abi.Exists, "table "+t.Name, "the target has %d rows in it", rows).WithHint("fork into an empty directory or database")
		}
	}
	return b.dialect.shape(tx, target)
}

// fenceTable has a row from the beginning.
const fenceTable = "sched_fence"

// fill writes a table's rows, and reads them back.
func (b *building) fill(ctx context.Context, tx dbms.Tx, t warehouse.Table, full *shape) error {
	places := make([]int, len(full.columns))
	for i, c := range full.columns {
		places[i] = slices.IndexFunc(t.Columns, func(name string) bool { return strings.EqualFold(name, c.name) })
	}
	for i, name := range t.Columns {
		if !slices.Contains(places, i) {
			return abi.Errorf("prov.fork", abi.Conflict, "column "+name+" of table "+t.Name, "the target's table has none")
		}
	}
	s := full.only(places)
	a := newApplier(b.dialect, s)
	a.over = false
	j := &job{columns: places}
	var written, read sum
	err := b.past.Rows(ctx, t.Name, b.at, func(key, row []dbms.Value) error {
		row = j.project(row)
		if written.add(row); written.rows%progressRows == 0 {
			b.progress(Progress{Phase: "fork", Table: t.Name, Rows: written.rows})
		}
		return a.put(tx, key, row)
	})
	if err != nil {
		return err
	}
	if err := a.flush(tx); err != nil {
		return err
	}
	err = each(tx, dbms.System("SELECT "+quoteAll(s.names())+" FROM "+quote(t.Name)), func(row []dbms.Value) error {
		read.add(row)
		return nil
	})
	if err != nil {
		return err
	}
	if read.String() != written.String() {
		return abi.Errorf("prov.fork", abi.Corrupt, "table "+t.Name, "%d rows with digest %s were written, and %d with %s are there",
			written.rows, written.String(), read.rows, read.String())
	}
	b.report.Tables = append(b.report.Tables, ForkTable{Name: t.Name, Rows: read.rows, Digest: read.String()})
	for _, text := range b.dialect.continued(full) {
		if err := each(tx, dbms.System(text), func([]dbms.Value) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// finish makes the extras, as far as they fit, and carries the application's
// migrations over.
func (b *building) finish(tx dbms.Tx) error {
	for _, x := range b.after {
		if _, err := tx.Exec(dbms.SQL(x.text)); err != nil {
			if !refused(err) {
				return err
			}
			b.report.Warnings = append(b.report.Warnings, x.what+" does not fit the tables as they were, and was left out")
		}
	}
	if _, err := tx.Exec(migrationForget); err != nil {
		return err
	}
	for _, m := range b.moved {
		if _, err := tx.Exec(migrationWrite, m[0], m[1], m[2], m[3], m[4]); err != nil {
			return err
		}
	}
	if findTable(b.tables, "sched_task") == nil {
		return nil
	}
	b.report.Runs = 0
	return each(tx, liveRuns, func([]dbms.Value) error { b.report.Runs++; return nil })
}
