//go:build cgo

package warehouse

import (
	"cmp"
	"slices"

	"github.com/dbos-go/dbos/dbms"
)

// A table is one table of the database from its creation until it is dropped;
// one of the same name that is made later is another table. Its
// rows are in two tables of the column store: the versions that are valid now (live), and
// those that are no longer (closed).
//
// Both have every column that the table ever had. A column that changes its type
// continues in a new one, so that what was written stays as it was.
type table struct {
	id      int
	columns []physical
	defs    []*definition // by LSN; there is at least one
}

// A physical column is one of the column store's.
type physical struct {
	class
	// Replaces is the column that this one continues with another type, or -1.
	Replaces int `json:"replaces"`
}

// A definition is what a table looked like from an LSN on. It is kept as JSON.
type definition struct {
	LSN  dbms.LSN `json:"lsn"`
	Name string   `json:"name"`
	// Dropped says that the table ended here.
	Dropped bool     `json:"dropped,omitempty"`
	Columns []string `json:"columns"`
	Types   []string `json:"types"`
	// Physical are the columns' places, parallel to Columns.
	Physical []int    `json:"physical"`
	Keys     []string `json:"keys"`
	// KeyPhysical are the places of Keys, which are among Physical unless the table has no
	// primary key.
	KeyPhysical []int  `json:"key_physical"`
	Schema      string `json:"schema"`
	// Refilled says that rows which were there before have other cells since.
	Refilled bool `json:"refilled,omitempty"`
	// Added are the physical columns that there are since this definition.
	Added []physical `json:"added,omitempty"`
}

// keyless says that rows are identified by something that is no column.
func (d *definition) keyless() bool { return len(d.Keys) > 0 && !slices.Contains(d.Columns, d.Keys[0]) }

// last is the newest definition.
func (t *table) last() *definition { return t.defs[len(t.defs)-1] }

// at returns the definition at a moment, nil if there was no such table.
func (t *table) at(lsn dbms.LSN) *definition {
	n, found := slices.BinarySearchFunc(t.defs, lsn, func(d *definition, lsn dbms.LSN) int { return cmp.Compare(d.LSN, lsn) })
	if found {
		for n+1 < len(t.defs) && t.defs[n+1].LSN == lsn {
			n++ // several steps of one statement
		}
	} else {
		n--
	}
	if n < 0 || t.defs[n].Dropped {
		return nil
	}
	return t.defs[n]
}

// add appends a definition that has been made or read.
func (t *table) add(d *definition) {
	t.columns = append(t.columns, d.Added...)
	t.defs = append(t.defs, d)
}

// chain returns the column and those that it continues, newest first.
func (t *table) chain(column int) []int {
	list := []int{column}
	for t.columns[column].Replaces >= 0 {
		column = t.columns[column].Replaces
		list = append(list, column)
	}
	return list
}

// A catalog is all tables that ever were, by their number. One that has been published is not
// changed any more: the writer changes a copy.
type catalog struct {
	engine string
	tables []*table
	// current are the tables that exist, by name.
	current map[string]*table
}

func newCatalog(engine string) *catalog {
	return &catalog{engine: engine, current: map[string]*table{}}
}

// clone returns a copy that can be changed.
func (c *catalog) clone() *catalog {
	n := newCatalog(c.engine)
	for _, t := range c.tables {
		copied := &table{id: t.id, columns: slices.Clone(t.columns), defs: slices.Clone(t.defs)}
		n.tables = append(n.tables, copied)
		if !copied.last().Dropped {
			n.current[copied.last().Name] = copied
		}
	}
	return n
}

// load adds a definition that was kept.
func (c *catalog) load(id int, d *definition) {
	for id >= len(c.tables) {
		c.tables = append(c.tables, &table{id: len(c.tables)})
	}
	t := c.tables[id]
	if len(t.defs) > 0 {
		c.forget(t)
	}
	t.add(d)
	if !d.Dropped {
		c.current[d.Name] = t
	}
}

// forget removes a table from those that exist, unless another one has its
// name already.
func (c *catalog) forget(t *table) {
	if name := t.last().Name; c.current[name] == t {
		delete(c.current, name)
	}
}

// find returns the table of a name at a moment, and its definition then.
func (c *catalog) find(name string, lsn dbms.LSN) (*table, *definition) {
	for _, t := range c.tables {
		if d := t.at(lsn); d != nil && d.Name == name {
			return t, d
		}
	}
	return nil, nil
}

// ever says whether a table had the name at any time, and when it was dropped
// if it is gone.
func (c *catalog) ever(name string) (known bool, dropped dbms.LSN) {
	for _, t := range c.tables {
		for i, d := range t.defs {
			if d.Name == name && !d.Dropped {
				known = true
			}
			if d.Dropped && i > 0 && t.defs[i-1].Name == name {
				dropped = d.LSN
			}
		}
	}
	return known, dropped
}

// called returns the numbers of the tables that ever had a name.
func (c *catalog) called(name string) (ids []int) {
	for _, t := range c.tables {
		if slices.ContainsFunc(t.defs, func(d *definition) bool { return d.Name == name }) {
			ids = append(ids, t.id)
		}
	}
	return ids
}

// since is the LSN of the newest definition up to a moment: between two of
// these everything is defined the same.
func (c *catalog) since(lsn dbms.LSN) (newest dbms.LSN) {
	for _, t := range c.tables {
		for _, d := range t.defs {
			if d.LSN <= lsn {
				newest = max(newest, d.LSN)
			}
		}
	}
	return newest
}

// define makes the definition that a change of Op Define says, of the table t
// that it is of; nil if it is a new one.
func (c *catalog) define(t *table, ch *dbms.Change) *definition {
	d := &definition{LSN: ch.LSN, Name: ch.Table, Columns: ch.Columns, Types: ch.Types, Keys: ch.KeyColumns, Schema: ch.Schema,
		Physical: make([]int, len(ch.Columns))}
	if len(d.Types) != len(d.Columns) {
		d.Types = make([]string, len(d.Columns)) // recorded by an earlier version
	}
	var old *definition
	next := 0
	if t != nil {
		old, next = t.last(), len(t.columns)
	}
	add := func(p physical) int {
		d.Added = append(d.Added, p)
		next++
		return next - 1
	}
	for i, from := range matchColumns(old, d) {
		p := physical{class: classOf(c.engine, d.Types[i]), Replaces: -1}
		if from < 0 {
			d.Physical[i] = add(p)
			continue
		}
		was := old.Physical[from]
		if t.columns[was].class == p.class {
			d.Physical[i] = was
			continue
		}
		p.Replaces = was
		d.Physical[i] = add(p)
	}
	for i, key := range d.Keys {
		if n := slices.Index(d.Columns, key); n >= 0 {
			d.KeyPhysical = append(d.KeyPhysical, d.Physical[n])
		} else if old != nil && old.keyless() && i < len(old.KeyPhysical) {
			d.KeyPhysical = append(d.KeyPhysical, old.KeyPhysical[i])
		} else {
			d.KeyPhysical = append(d.KeyPhysical, add(physical{class: identity(c.engine), Replaces: -1}))
		}
	}
	return d
}

// identity is the class of what identifies rows of tables without a key.
func identity(engine string) class {
	if engine == "sqlite" {
		return class{Kind: kindInteger}
	}
	return class{Kind: kindText}
}

// matchColumns returns for each column of d the column of the definition before that
// it continues, or -1. Columns are known by their names; if as many have gone as
// have come, in the same places, they have been renamed.
func matchColumns(old, d *definition) []int {
	match := make([]int, len(d.Columns))
	for i, name := range d.Columns {
		match[i] = -1
		if old != nil {
			match[i] = slices.Index(old.Columns, name)
		}
	}
	if old == nil || len(old.Columns) != len(d.Columns) {
		return match
	}
	for i := range match {
		if match[i] < 0 && !slices.Contains(match, i) {
			match[i] = i
		}
	}
	return match
}
