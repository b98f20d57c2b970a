package transfer

import (
	"slices"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A table is one that is copied.
type table struct {
	name    string
	columns []column
	primary []string // names of the key's columns, in its order
	unique  [][]string
	checks  []string // conditions, in the engine's own words
	foreign []foreignKey
	indexes []index
	// next is the largest number that an automatic key has given, even if its
	// row is gone; 0 if there is no such key.
	next int64
}

// A column is one that is stored: generated ones are left out.
type column struct {
	name     string
	declared string // type, in the engine's own words
	class    class
	bits     int // of an integer
	notNull  bool
	identity bool   // the engine numbers rows that do not say
	value    string // default, an expression in the engine's own words
}

type foreignKey struct {
	columns    []string
	parent     string
	referenced []string // empty: the parent's primary key
	action     string   // "ON DELETE …", "ON UPDATE …"
}

type index struct {
	name       string
	definition string // a statement in the engine's own words
}

func (t *table) column(name string) *column {
	i := slices.IndexFunc(t.columns, func(c column) bool { return strings.EqualFold(c.name, name) })
	if i < 0 {
		return nil
	}
	return &t.columns[i]
}

// A dialect is what an engine's catalog and SQL have of their own.
type dialect interface {
	// tables returns the tables to copy: those of the services, and those of
	// the application, in no order.
	tables(tx dbms.Tx) ([]*table, error)
	// left returns what the application has besides tables and indexes: views,
	// triggers, functions.
	left(tx dbms.Tx) ([]string, error)
	// create returns the statement that makes a table like t, which is of
	// another engine, and changes t's columns to what they then are. If the
	// first statement is refused, the next one is tried, which makes less.
	create(t *table) []string
	// extras returns the statements that give the new table what the engine
	// may not understand: checks, defaults, indexes.
	extras(t *table) []extra
	// begin returns the statements before the first row of all.
	begin() []string
	// insert returns the statement that inserts n rows.
	insert(t *table, n int) string
	// after returns the statements after a table's last row, after which
	// automatic keys continue after the largest one.
	after(t *table, created bool) []string
	// placeholders is how many parameters a statement may have.
	placeholders() int
}

// An extra is a part of a table's definition that may not work elsewhere.
type extra struct {
	what      string // for people
	statement string
}

// dialectOf returns the dialect of an engine.
func dialectOf(engine string) (dialect, error) {
	switch engine {
	case "sqlite":
		return sqlite{}, nil
	case "postgres":
		return postgres{}, nil
	default:
		return nil, abi.Errorf("transfer", abi.Unsupported, "engine "+engine, "its catalog is not known")
	}
}

// servicePrefixes begin the names of the services' tables; ownPrefixes those
// of the engines' own, which are not copied.
var (
	servicePrefixes = []string{"sched_", "wf_", "ipc_", "fs_", "auth_", "prov_"}
	ownPrefixes     = []string{"dbos_", "h_", "sqlite_"}
)

// processTable is not copied either: its processes do not have the target open.
const processTable = "sched_worker"

func isService(name string) bool { return hasPrefix(name, servicePrefixes) }

// isCopied reports whether a table is copied, by its name.
func isCopied(name string) bool { return !hasPrefix(name, ownPrefixes) && name != processTable }

func hasPrefix(name string, prefixes []string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// query returns a statement for a table: with the application's rights if it
// is one of the application's.
func query(t *table, sql string) *dbms.Query {
	if isService(t.name) {
		return dbms.System(sql)
	}
	return dbms.SQL(sql)
}

// quote returns a name as both engines read it.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quote(name)
	}
	return strings.Join(quoted, ", ")
}

func (t *table) columnNames() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

// inOrder sorts tables so that each comes after those that it refers to. A
// cycle is broken where it is found.
func inOrder(tables []*table) []*table {
	byName := map[string]*table{}
	for _, t := range tables {
		byName[strings.ToLower(t.name)] = t
	}
	var sorted []*table
	visited := map[*table]bool{}
	var visit func(t *table)
	visit = func(t *table) {
		if t == nil || visited[t] {
			return
		}
		visited[t] = true
		for _, f := range t.foreign {
			visit(byName[strings.ToLower(f.parent)])
		}
		sorted = append(sorted, t)
	}
	slices.SortFunc(tables, func(a, b *table) int { return strings.Compare(a.name, b.name) })
	for _, t := range tables {
		visit(t)
	}
	return sorted
}

// each runs a query and calls fn for each row, whose values it gets.
func each(tx dbms.Tx, q *dbms.Query, fn func(row []dbms.Value) error, args ...any) error {
	rows, err := tx.Query(q, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	n := len(rows.Columns())
	for rows.Next() {
		row, dest := make([]dbms.Value, n), make([]any, n)
		for i := range row {
			dest[i] = (*any)(&row[i])
		}
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		if err := fn(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

func text(v dbms.Value) string {
	s, _ := v.(string)
	return s
}

func number(v dbms.Value) int64 {
	n, _ := v.(int64)
	return n
}
