package dbmstest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// A replica is a database made of nothing but commits: what a reader of
// Changes knows. It is strict: a change that does not fit what came before is
// an error.
type replica struct {
	tables map[string]*replicated
	lsn    dbms.LSN
	// defaultOf is Dialect.Default.
	defaultOf func(schema, column string) dbms.Value
}

// A replicated table.
type replicated struct {
	columns, key []string
	rows         map[string][]dbms.Value // by key, encoded
}

func newReplica(e Engine) *replica {
	return &replica{tables: map[string]*replicated{}, defaultOf: e.Dialect.Default}
}

// apply brings the replica from one commit to the next.
func (r *replica) apply(c dbms.Commit) error {
	if c.LSN <= r.lsn {
		return fmt.Errorf("commit %d follows commit %d", c.LSN, r.lsn)
	}
	last := r.lsn
	for _, change := range c.Changes {
		if change.LSN <= last || change.LSN > c.LSN {
			return fmt.Errorf("commit %d: change %d follows %d", c.LSN, change.LSN, last)
		}
		last = change.LSN
		if err := r.change(change); err != nil {
			return fmt.Errorf("commit %d (%s), %s of table %q, change %d: %w", c.LSN, c.Call.Procedure, change.Op, change.Table, change.LSN, err)
		}
	}
	r.lsn = c.LSN
	return nil
}

func (r *replica) change(c dbms.Change) error {
	switch c.Op {
	case dbms.Define:
		return r.define(c)
	case dbms.Drop:
		if r.tables[c.Table] == nil {
			return fmt.Errorf("there is no such table")
		}
		delete(r.tables, c.Table)
		return nil
	}
	t := r.tables[c.Table]
	if t == nil {
		return fmt.Errorf("there is no such table")
	}
	if !slices.Equal(c.Columns, t.columns) || !slices.Equal(c.KeyColumns, t.key) {
		return fmt.Errorf("columns %q with key %q, defined are %q with key %q", c.Columns, c.KeyColumns, t.columns, t.key)
	}
	return t.change(c)
}

// define creates a table, or changes one: a table that is defined again has
// one column more at its end, or one less, or one with another name.
func (r *replica) define(c dbms.Change) error {
	if c.Schema == "" || len(c.KeyColumns) == 0 || len(c.Types) != len(c.Columns) || c.Row != nil || c.Key != nil {
		return fmt.Errorf("malformed definition %+v", c)
	}
	if c.Renamed != "" {
		if r.tables[c.Renamed] == nil || r.tables[c.Table] != nil {
			return fmt.Errorf("renamed from %q: the one table is not there, or the other is", c.Renamed)
		}
		r.tables[c.Table] = r.tables[c.Renamed]
		delete(r.tables, c.Renamed)
	}
	t := r.tables[c.Table]
	if t == nil {
		r.tables[c.Table] = &replicated{columns: c.Columns, key: c.KeyColumns, rows: map[string][]dbms.Value{}}
		return nil
	}
	if err := t.reshape(c, r.defaultOf); err != nil {
		return err
	}
	t.columns, t.key = c.Columns, c.KeyColumns
	return nil
}

func (t *replicated) reshape(c dbms.Change, defaultOf func(schema, column string) dbms.Value) error {
	before, after := t.columns, c.Columns
	switch {
	case len(after) == len(before):
		return nil // as it was, or with another name
	case len(after) == len(before)+1 && slices.Equal(after[:len(before)], before):
		value := defaultOf(c.Schema, after[len(before)])
		var told dbms.Value
		if c.Defaults != nil {
			told = c.Defaults[len(before)]
		}
		if _, unknown := value.(unknownDefault); unknown {
			value = told // it differs by row: updates follow
		} else if got, want := dbms.MarshalValues([]dbms.Value{told}), dbms.MarshalValues([]dbms.Value{value}); len(t.rows) > 0 && !bytes.Equal(got, want) {
			return fmt.Errorf("rows get %s in the new column %q, the definition says %s", want, after[len(before)], got)
		}
		for key, row := range t.rows {
			t.rows[key] = append(slices.Clip(row), value)
		}
		return nil
	case len(after) == len(before)-1:
		at := 0
		for at < len(after) && after[at] == before[at] {
			at++
		}
		if !slices.Equal(after[at:], before[at+1:]) {
			break
		}
		for key, row := range t.rows {
			t.rows[key] = slices.Delete(slices.Clone(row), at, at+1)
		}
		return nil
	}
	return fmt.Errorf("columns %q became %q in one step", before, after)
}

// change applies the change of a row.
func (t *replicated) change(c dbms.Change) error {
	if len(c.Key) != len(t.key) {
		return fmt.Errorf("the key has %d values, want %d", len(c.Key), len(t.key))
	}
	key := encode(c.Key)
	_, exists := t.rows[key]
	switch {
	case c.Op == dbms.Insert && exists:
		return fmt.Errorf("row %s is there already", key)
	case c.Op != dbms.Insert && !exists:
		return fmt.Errorf("there is no row %s", key)
	case c.Op == dbms.Delete && c.Row == nil:
		delete(t.rows, key)
		return nil
	case (c.Op != dbms.Insert && c.Op != dbms.Update) || len(c.Row) != len(t.columns):
		return fmt.Errorf("malformed change %+v", c)
	}
	for i, column := range t.key {
		at := slices.Index(t.columns, column)
		if at >= 0 && encode(c.Key[i:i+1]) != encode(c.Row[at:at+1]) {
			return fmt.Errorf("row %v does not have key %v", c.Row, c.Key)
		}
	}
	t.rows[key] = c.Row
	return nil
}

// An image is what tables hold: by table its columns and its rows, encoded
// and sorted.
type image map[string][]string

func (r *replica) image() image {
	im := image{}
	for name, t := range r.tables {
		im[name] = append([]string{strings.Join(t.columns, ",")}, encodeRows(maps.Values(t.rows))...)
	}
	return im
}

// readImage reads the live tables: all that are listed, with their columns.
func readImage(tx dbms.Tx, tables map[string][]string) (image, error) {
	im := image{}
	for name, columns := range tables {
		var rows [][]dbms.Value
		q := dbms.System("SELECT " + quoteAll(columns) + " FROM " + quote(name))
		err := each(tx, q, func(r dbms.Rows) error {
			row := make([]dbms.Value, len(columns))
			dest := make([]any, len(columns))
			for i := range row {
				dest[i] = (*any)(&row[i])
			}
			rows = append(rows, row)
			return r.Scan(dest...)
		})
		if err != nil {
			return nil, fmt.Errorf("table %q: %w", name, err)
		}
		im[name] = append([]string{strings.Join(columns, ",")}, encodeRows(slices.Values(rows))...)
	}
	return im, nil
}

// difference describes how a replica differs from the live tables, or is "".
func difference(live, replica image) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(live)) {
		if r, ok := replica[name]; !ok {
			fmt.Fprintf(&b, "table %q is not in Changes; ", name)
		} else if !slices.Equal(live[name], r) {
			fmt.Fprintf(&b, "table %q holds %q, by Changes %q; ", name, live[name], r)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(replica)) {
		if _, ok := live[name]; !ok {
			fmt.Fprintf(&b, "table %q is only in Changes; ", name)
		}
	}
	return b.String()
}

func encodeRows(rows func(func([]dbms.Value) bool)) []string {
	var lines []string
	for row := range rows {
		lines = append(lines, encode(row))
	}
	slices.Sort(lines)
	return lines
}

// encode writes values so that equal texts mean values equal in type and in
// every bit, except that the two zeros of floats are one.
func encode(values []dbms.Value) string {
	var b strings.Builder
	for _, v := range values {
		switch v := v.(type) {
		case nil:
			b.WriteString("NULL")
		case int64:
			b.WriteString("i" + strconv.FormatInt(v, 10))
		case float64:
			if v == 0 {
				v = math.Abs(v)
			}
			b.WriteString("f" + strconv.FormatUint(math.Float64bits(v), 16))
		case string:
			b.WriteString("t" + strconv.Quote(v)) // invalid UTF-8 as \x..
		case []byte:
			b.WriteString("b" + hex.EncodeToString(v))
		default:
			fmt.Fprintf(&b, "no Value: %T", v)
		}
		b.WriteByte(' ')
	}
	return b.String()
}
