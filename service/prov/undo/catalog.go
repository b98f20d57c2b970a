package undo

import (
	"regexp"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// A catalog is the application's part of a database's definitions: its tables
// with their keys, foreign keys, views, triggers and functions. It says which tables a
// statement can have to do with. Names are compared in lower case, and text in
// strings counts as names: that makes too many tables, never too few.
type catalog struct {
	engine string
	tables map[string]*table // by lower name
	// bodies are the words in the definitions of views and functions.
	bodies map[string][]string
	known  map[string][]string // reach, by text
	ranks  map[string]int      // see rank
}

// A table is one of the application's.
type table struct {
	name         string
	define       dbms.Change // as dbms.DB.Tables gives it
	key          []int       // places of the key's columns among the columns; nil without a primary key
	parents      []foreignKey
	children     []string   // lower names of the tables that refer to it
	triggers     []trigger  // the application's
	triggerWords [][]string // the words in the triggers' definitions
	// defaults are what columns have that a row says nothing about: see
	// readDefaults.
	defaults []dbms.Value
	// collated says that keys which differ may be the same to the engine.
	collated bool
	// The statements of place and collect, once they are needed.
	putting, removing, reading, noted, forgetting *dbms.Query
}

// A foreignKey is how one table's rows refer to another's.
type foreignKey struct {
	name               string // of the constraint, where it has one
	columns            []string
	parent             string
	referenced         []string // empty: the parent's primary key
	onDelete, onUpdate string
}

// A trigger is one of the application's.
type trigger struct{ name, sql string }

// servicePrefixes begin the names of tables that are not an application's.
var servicePrefixes = []string{"dbos_", "h_", "sched_", "wf_", "ipc_", "fs_", "auth_", "prov_", "sqlite_", capturePrefix}

// isApplication reports whether a table is one of the application's.
func isApplication(name string) bool {
	name = strings.ToLower(name)
	return !slices.ContainsFunc(servicePrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// readCatalog reads the definitions of a database.
func readCatalog(tx dbms.Tx, db dbms.DB) (*catalog, error) {
	c := &catalog{engine: db.Status().Engine, tables: map[string]*table{}, bodies: map[string][]string{}, known: map[string][]string{}}
	list, err := db.Tables(tx)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		if !isApplication(d.Table) {
			continue
		}
		t := &table{name: d.Table, define: d, collated: slices.Contains(words(d.Schema), map[string]string{"sqlite": "collate", "postgres": "citext"}[c.engine])}
		for _, k := range d.KeyColumns {
			i := slices.Index(d.Columns, k)
			if i < 0 {
				t.key = nil
				break
			}
			t.key = append(t.key, i)
		}
		c.tables[strings.ToLower(d.Table)] = t
	}
	if c.engine == "postgres" {
		err = c.readPostgres(tx)
	} else {
		err = c.readSQLite(tx)
	}
	if err != nil {
		return nil, err
	}
	for name, t := range c.tables {
		for _, f := range t.parents {
			if p := c.tables[strings.ToLower(f.parent)]; p != nil && !slices.Contains(p.children, name) {
				p.children = append(p.children, name)
			}
		}
	}
	c.ranks = c.childrenFirst()
	return c, nil
}

// table returns a table by its name, or nil.
func (c *catalog) table(name string) *table { return c.tables[strings.ToLower(name)] }

// rank is less than that of the tables that a table refers to, but where these
// refer to it too.
func (c *catalog) rank(table string) int { return c.ranks[table] }

// reach returns the tables that a statement may read or change.
func (c *catalog) reach(s statement) []string {
	if tables, ok := c.known[s.text]; ok {
		return tables
	}
	r := reaching{c: c, found: map[string]bool{}, seen: map[string]bool{}}
	list := words(s.text)
	writes := slices.ContainsFunc(list, func(w string) bool { return writing[w] || c.engine == "postgres" && c.bodies[w] != nil })
	r.words(list, writes)
	tables := make([]string, 0, len(r.found))
	for name := range r.found {
		tables = append(tables, c.tables[name].name)
	}
	slices.Sort(tables)
	c.known[s.text] = tables
	return tables
}

// writing are the words without which a statement only reads, unless it calls a
// function.
var writing = map[string]bool{"insert": true, "update": true, "delete": true, "replace": true, "merge": true}

// A reaching is the search for all tables that names lead to.
type reaching struct {
	c           *catalog
	found, seen map[string]bool
}

func (r *reaching) words(list []string, writes bool) {
	for _, w := range list {
		if r.c.tables[w] != nil {
			r.table(w, writes)
		}
		if body, ok := r.c.bodies[w]; ok && !r.seen["body "+w] {
			r.seen["body "+w] = true
			r.words(body, writes)
		}
	}
}

// table adds a table and, if it may be written, what that may touch: rows that
// it refers to, rows that refer to it, and what its triggers do.
func (r *reaching) table(name string, writes bool) {
	r.found[name] = true
	if !writes || r.seen["write "+name] {
		return
	}
	r.seen["write "+name] = true
	t := r.c.tables[name]
	for _, f := range t.parents {
		if p := strings.ToLower(f.parent); r.c.tables[p] != nil {
			r.found[p] = true
		}
	}
	for _, child := range t.children {
		r.table(child, true)
	}
	for _, list := range t.triggerWords {
		r.words(list, true)
	}
}

// word finds names in a text, quoted ones too.
var word = regexp.MustCompile("\"(?:[^\"]|\"\")+\"|`[^`]+`|\\[[^\\]]+\\]|[\\pL_][\\pL\\pN_$]*")

// words returns the names in a text, in lower case, each once.
func words(text string) []string {
	var list []string
	seen := map[string]bool{}
	add := func(w string) {
		if !seen[w] {
			seen[w] = true
			list = append(list, w)
		}
	}
	for _, w := range word.FindAllString(text, -1) {
		w = strings.ToLower(w)
		switch w[0] {
		case '"':
			add(strings.ReplaceAll(w[1:len(w)-1], `""`, `"`))
		case '`':
			add(w[1 : len(w)-1])
		case '[': // an array's subscript, perhaps
			add(w[1 : len(w)-1])
			for _, inner := range word.FindAllString(w[1:len(w)-1], -1) {
				add(inner)
			}
		default:
			add(w)
		}
	}
	return list
}

// parents returns the rows that a row refers to, as far as it does so by their
// primary keys.
func (c *catalog) parents(name string, r row) []rowID {
	t := c.table(name)
	if t == nil || len(r) != len(t.define.Columns) {
		return nil
	}
	var ids []rowID
	for _, f := range t.parents {
		p := c.table(f.parent)
		if p == nil || p.key == nil {
			continue
		}
		referenced := f.referenced
		if len(referenced) == 0 {
			referenced = p.define.KeyColumns
		}
		key := make([]dbms.Value, 0, len(p.key))
		for _, k := range p.define.KeyColumns {
			i := slices.IndexFunc(referenced, func(c string) bool { return strings.EqualFold(c, k) })
			if i < 0 || len(referenced) != len(p.key) || i >= len(f.columns) {
				break
			}
			j := slices.IndexFunc(t.define.Columns, func(c string) bool { return strings.EqualFold(c, f.columns[i]) })
			if j < 0 || r[j] == nil {
				break
			}
			key = append(key, r[j])
		}
		if len(key) == len(p.key) {
			ids = append(ids, rowID{p.name, keyText(key)})
		}
	}
	return ids
}

// automatic reports whether the database may have made a table's keys: a
// single column of integers.
func (t *table) automatic() bool {
	return len(t.key) == 1 && strings.Contains(strings.ToLower(t.define.Types[t.key[0]]), "int")
}

// quote returns a name as both engines read it.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteAll(names []string) []string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return quoted
}

// connected returns the tables that foreign keys connect with some, these
// among them.
func (c *catalog) connected(tables []string) []string {
	var list []string
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		t := c.tables[name]
		if t == nil || seen[name] {
			return
		}
		seen[name] = true
		list = append(list, t.name)
		for _, f := range t.parents {
			visit(strings.ToLower(f.parent))
		}
		for _, child := range t.children {
			visit(child)
		}
	}
	for _, t := range tables {
		visit(strings.ToLower(t))
	}
	return list
}

// childrenFirst numbers the tables so that each comes before those that it
// refers to; a cycle is broken somewhere.
func (c *catalog) childrenFirst() map[string]int {
	order := map[string]int{}
	visiting := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		t := c.tables[name]
		if t == nil || visiting[name] {
			return
		}
		visiting[name] = true
		for _, child := range t.children {
			visit(child)
		}
		order[t.name] = len(order)
	}
	for _, name := range c.names() {
		visit(name)
	}
	return order
}

// names are the tables' lower names, sorted.
func (c *catalog) names() []string {
	names := make([]string, 0, len(c.tables))
	for name := range c.tables {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
