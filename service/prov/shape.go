package prov

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A shape is what writing a table's rows needs to know of it.
type shape struct {
	name    string
	columns []shapeColumn // that are stored
	key     []string      // as Change.KeyColumns
	// place is the SQL name of the rows' identity in a table without a key, or "".
	place string
	// uniques are sets of columns, other than the key, that may not be twice;
	// loose says that there are also such expressions and conditions.
	uniques [][]int
	loose   bool
	// exact says that keys which differ are different to the engine too, so that
	// it does not matter in which order rows are removed and written.
	exact bool
	// whole says that rows cannot be changed in place: they are removed and
	// inserted.
	whole bool
}

// rowKey names the key of a table without one.
const rowKey = "dbos_rowid"

// A shapeColumn is a stored column.
type shapeColumn struct {
	name string
	typ  string // PostgreSQL's, of the base if it is a domain
	cast string // PostgreSQL's, as declared
}

func (s *shape) names() []string {
	names := make([]string, len(s.columns))
	for i, c := range s.columns {
		names[i] = c.name
	}
	return names
}

// position finds a column by its name, or gives -1.
func (s *shape) position(name string) int {
	i := slices.IndexFunc(s.columns, func(c shapeColumn) bool { return c.name == name })
	if i < 0 {
		i = slices.IndexFunc(s.columns, func(c shapeColumn) bool { return strings.EqualFold(c.name, name) })
	}
	return i
}

// keyPositions are the places of the key's columns in a row; nil without a key.
func (s *shape) keyPositions() []int {
	if s.place != "" {
		return nil
	}
	var list []int
	for _, name := range s.key {
		list = append(list, s.position(name))
	}
	return list
}

// A dialect is what an engine's catalog and SQL have of their own.
type dialect interface {
	// shape describes a table whose key and columns are those of t.
	shape(tx dbms.Tx, t dbms.Change) (*shape, error)
	// write is the statement that writes n rows: as new ones, or over those of the
	// same keys; remove the one that removes the rows of n keys, and count the one that
	// counts them. args gives the arguments of each, from values row by row, of the given columns.
	write(s *shape, n int, over bool) string
	remove(s *shape, n int) string
	count(s *shape, n int) string
	args(columns []shapeColumn, values []any) []any
	// rows is how many rows one statement takes at most, and piece how many of n
	// the next one shall take.
	rows(columns int) int
	piece(n, most int) int
	// placed says that the place of a row in a table without a key can be chosen.
	placed() bool
	// quiet keeps the tables' application triggers and foreign keys from acting
	// and returns what undoes that. check finds rows that break foreign keys.
	quiet(tx dbms.Tx, tables []string) (restore func() error, err error)
	check(tx dbms.Tx, tables []string) ([]string, error)
	// continued are the statements that let automatic keys of a table continue
	// after the largest one.
	continued(s *shape) []string
	// extras are what the application has besides tables and rows: what its
	// tables may need, and the rest. drops are the statements that remove its
	// tables, with all that hangs on them.
	extras(tx dbms.Tx) (before, after []extra, err error)
	drops(tx dbms.Tx) ([]string, error)
}

func dialectOf(db dbms.DB) (dialect, error) {
	switch engine := db.Status().Engine; engine {
	case "sqlite":
		return sqliteDialect{}, nil
	case "postgres":
		return postgresDialect{}, nil
	default:
		return nil, abi.Errorf("prov", abi.Unsupported, "engine "+engine, "its catalog is not known")
	}
}

// servicePrefixes begin the names of the services' tables.
var servicePrefixes = []string{"sched_", "wf_", "ipc_", "fs_", "auth_", "prov_"}

// IsService reports whether a table is one of the services'.
func IsService(table string) bool { return hasPrefix(table, servicePrefixes) }

func hasPrefix(name string, prefixes []string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// statement returns SQL text with the rights that a table needs: applications'
// tables are the applications'.
func statement(table, text string) *dbms.Query {
	if IsService(table) {
		return dbms.System(text)
	}
	return dbms.SQL(text)
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

// literal returns a string constant as both engines read it.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// jsonList is a list of names as an argument.
func jsonList(names []string) string {
	b, _ := json.Marshal(names) // strings always can be
	return string(b)
}

// each runs a query and calls fn for each row, whose values it may keep.
func each(tx dbms.Tx, q *dbms.Query, fn func(row []dbms.Value) error, args ...any) error {
	rows, err := tx.Query(q, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	n := len(rows.Columns())
	dest := make([]any, n)
	for rows.Next() {
		row := make([]dbms.Value, n)
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

// execAll runs statements in the system's name.
func execAll(tx dbms.Tx, texts ...string) error {
	for _, text := range texts {
		if _, err := tx.Exec(dbms.System(text)); err != nil {
			return err
		}
	}
	return nil
}

func textOf(v dbms.Value) string {
	s, _ := v.(string)
	return s
}

func numberOf(v dbms.Value) int64 {
	n, _ := v.(int64)
	return n
}
