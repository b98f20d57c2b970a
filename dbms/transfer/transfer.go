package transfer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Options of Copy.
type Options struct {
	// DryRun checks everything and writes nothing.
	DryRun bool
	// Progress, if not nil, is told how far the work is, now and then.
	Progress func(Progress)
	// Principal on whose behalf the target is written.
	Principal abi.Principal
	// Engine of a target that is not there yet, for a dry run.
	Engine string
}

// A Progress is how far a Copy is.
type Progress struct {
	Phase string // "check", "copy", "verify"
	Table string
	Rows  int64 // of the table, so far
	Total int64 // of the table; 0 while it is not known
}

// A Report is what a Copy did, or would do.
type Report struct {
	Tables   []TableReport
	Owners   []string // applications whose migrations are carried over
	Findings []Finding
	// Left names what the application has and was not carried over.
	Left []string
}

// A TableReport is about one table. Its checksums are those of the rows as
// they are written, and of the rows that the target then has.
type TableReport struct {
	Name    string
	Rows    int64
	Created bool // it was not there before
	Source  string
	Target  string
}

// A Finding is a value that does not fit into its column.
type Finding struct {
	Table, Column string
	Row           string // its key
	Problem       string
}

// maxFindings is how many findings are listed.
const maxFindings = 100

// Copy copies the system in one database to another, whose services' tables
// are there and empty, in one transaction of the target: all or nothing. In a
// dry run the target may be nil. The
// source is read on one snapshot; whoever calls makes sure that nobody works
// in it any more. Not copied: the history, the processes, and what Report.Left
// names.
//
// If values do not fit, nothing is written, and the error is of kind
// abi.Invalid with the first of them; Report.Findings has more.
func Copy(ctx context.Context, from, to dbms.DB, o Options) (*Report, error) {
	c := &copying{from: from, to: to, options: o, report: &Report{}}
	var err error
	if c.source, err = dialectOf(from.Status().Engine); err != nil {
		return nil, err
	}
	if to != nil {
		o.Engine = to.Status().Engine
	}
	if c.target, err = dialectOf(o.Engine); err != nil {
		return nil, err
	}
	if o.Progress == nil {
		c.options.Progress = func(Progress) {}
	}
	err = from.View(ctx, func(tx dbms.Tx) error {
		*c.report = Report{}
		if err := c.plan(ctx, tx); err != nil {
			return err
		}
		if err := c.check(tx); err != nil || o.DryRun {
			return err
		}
		call := abi.Call{Procedure: "dbos.migrate", Principal: o.Principal}
		if _, err := to.Update(ctx, call, func(w dbms.Tx) error { return c.write(tx, w) }); err != nil {
			return err
		}
		return c.verify(ctx)
	})
	return c.report, err
}

// A copying is one Copy under way.
type copying struct {
	from, to       dbms.DB
	source, target dialect
	options        Options
	report         *Report
	jobs           []*job
	migrations     [][]dbms.Value
}

// A job is one table's.
type job struct {
	from, to *table // to has from's columns, in from's order
	created  bool
	checksum Checksum // of the rows as they are written
}

// plan matches the tables of both sides.
func (c *copying) plan(ctx context.Context, tx dbms.Tx) error {
	c.jobs, c.migrations = nil, nil
	tables, err := c.source.tables(tx)
	if err != nil {
		return err
	}
	if c.report.Left, err = c.source.left(tx); err != nil {
		return err
	}
	if err := c.readMigrations(tx); err != nil {
		return err
	}
	there, err := c.inventory(ctx)
	if err != nil {
		return err
	}
	for _, t := range inOrder(tables) {
		j := &job{from: t}
		i := slices.IndexFunc(there, func(other *table) bool { return strings.EqualFold(other.name, t.name) })
		switch {
		case i >= 0:
			if j.to, err = matched(t, there[i]); err != nil {
				return err
			}
		case isService(t.name) && c.to != nil:
			return abi.Errorf("transfer.plan", abi.Conflict, "table "+t.name, "the target has no such table of the system").
				WithHint("both systems have to be of the same version: open both with this program once")
		default:
			j.created = !isService(t.name)
			twin := *t
			twin.columns = slices.Clone(t.columns)
			c.target.create(&twin)
			j.to = &twin
		}
		c.jobs = append(c.jobs, j)
	}
	return nil
}

// inventory returns the target's tables, which must be empty.
func (c *copying) inventory(ctx context.Context) (there []*table, err error) {
	if c.to == nil {
		return nil, nil
	}
	err = c.to.View(ctx, func(tx dbms.Tx) error {
		if there, err = c.target.tables(tx); err != nil {
			return err
		}
		return c.refuseOccupied(tx, there)
	})
	return there, err
}

// matched returns the target's table with the columns of the source's, in
// their order.
func matched(from, to *table) (*table, error) {
	m := *to
	m.columns, m.next = nil, from.next
	for _, c := range from.columns {
		other := to.column(c.name)
		if other == nil {
			return nil, abi.Errorf("transfer.plan", abi.Conflict, "table "+from.name, "the target's has no column %s", c.name).
				WithHint("let the application's migrations make the same columns on both engines, or drop the target's table: it is then made")
		}
		m.columns = append(m.columns, *other)
	}
	return &m, nil
}

// refuseOccupied fails if a table of the target has rows.
func (c *copying) refuseOccupied(tx dbms.Tx, tables []*table) error {
	for _, t := range tables {
		occupied := false
		q := dbms.System(fmt.Sprintf("SELECT 1 FROM %s LIMIT 1", quote(t.name)))
		if err := each(tx, q, func([]dbms.Value) error { occupied = true; return nil }); err != nil {
			return err
		}
		if occupied {
			return abi.Errorf("transfer.plan", abi.Exists, c.to.Status().Location, "its table %s has rows; a system is only copied into an empty one", t.name).
				WithHint("name another directory, or another schema of the database with ?dbos_schema=NAME")
		}
	}
	return nil
}

var (
	migrationRead  = dbms.System(`SELECT owner, version, name, digest, applied_at FROM dbos_migration WHERE owner LIKE 'app:%' ORDER BY owner, version`)
	migrationWrite = dbms.System(`INSERT INTO dbos_migration (owner, version, name, digest, applied_at) VALUES ($1, $2, $3, $4, $5)`)
	migrationCount = dbms.System(`SELECT count(*) FROM dbos_migration WHERE owner = $1 AND version = $2`)
)

// readMigrations notes which of the application's migrations have run. Their
// texts may differ by engine, so the target accepts them whatever they are.
func (c *copying) readMigrations(tx dbms.Tx) error {
	return each(tx, migrationRead, func(row []dbms.Value) error {
		if owner := text(row[0]); !slices.Contains(c.report.Owners, owner) {
			c.report.Owners = append(c.report.Owners, owner)
		}
		row[3] = dbms.CarriedDigest(text(row[3]))
		c.migrations = append(c.migrations, row)
		return nil
	})
}

// read calls fn for each row of a table of the source, converted for the
// target. A value that does not fit is told to bad, if that is not nil.
func (c *copying) read(tx dbms.Tx, j *job, phase string, bad func(Finding), fn func(row []dbms.Value) error) error {
	q := dbms.System(fmt.Sprintf("SELECT %s FROM %s", quoteAll(j.from.columnNames()), quote(j.from.name)))
	n := int64(0)
	return each(tx, q, func(row []dbms.Value) error {
		if n++; n%progressRows == 0 {
			c.options.Progress(Progress{phase, j.from.name, n, j.checksum.Rows})
		}
		original := slices.Clone(row)
		for i, v := range original {
			var err error
			if row[i], err = convert(v, &j.from.columns[i], &j.to.columns[i]); err != nil && bad != nil {
				bad(Finding{j.from.name, j.from.columns[i].name, j.from.rowName(original), err.Error()})
			}
		}
		return fn(row)
	})
}

// progressRows is the number of rows between two reports of the progress.
const progressRows = 5000

// rowName is a row's key for people, or the beginning of the row.
func (t *table) rowName(row []dbms.Value) string {
	names := t.primary
	if len(names) == 0 {
		names = t.columnNames()[:min(3, len(t.columns))]
	}
	var parts []string
	for _, name := range names {
		i := slices.IndexFunc(t.columns, func(c column) bool { return c.name == name })
		if i >= 0 {
			parts = append(parts, name+" "+shown(row[i]))
		}
	}
	return strings.Join(parts, ", ")
}

// check reads all rows, and fails if a value does not fit.
func (c *copying) check(tx dbms.Tx) error {
	for _, j := range c.jobs {
		j.checksum = Checksum{}
		err := c.read(tx, j, "check", c.found, func(row []dbms.Value) error {
			j.checksum.add(j.to, row)
			return nil
		})
		if err != nil {
			return err
		}
		c.report.Tables = append(c.report.Tables, TableReport{Name: j.from.name, Rows: j.checksum.Rows, Created: j.created, Source: j.checksum.String()})
	}
	if len(c.report.Findings) == 0 {
		return nil
	}
	f := c.report.Findings[0]
	return abi.Errorf("transfer.check", abi.Invalid, fmt.Sprintf("table %s, column %s, row with %s", f.Table, f.Column, f.Row), "%s", f.Problem).
		WithHint("nothing was written; change the values in the source, then try again")
}

func (c *copying) found(f Finding) {
	if len(c.report.Findings) < maxFindings {
		c.report.Findings = append(c.report.Findings, f)
	}
}
