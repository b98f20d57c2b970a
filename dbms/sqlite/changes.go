package sqlite

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Changes implements dbms.DB.
func (db *DB) Changes(ctx context.Context, after dbms.LSN, limit int) ([]dbms.Commit, error) {
	if limit < 1 || limit > dbms.MaxBatch {
		return nil, abi.Errorf("dbms.changes", abi.Invalid, "argument limit", "%d is outside 1 to %d", limit, dbms.MaxBatch)
	}
	if after < 0 {
		return nil, abi.Errorf("dbms.changes", abi.Invalid, "argument after", "%d is negative", after)
	}
	var commits []dbms.Commit
	err := db.View(ctx, func(tx dbms.Tx) error {
		var err error
		if commits, err = readCommits(tx, after, limit); err != nil || len(commits) == 0 {
			return err
		}
		changes, err := readChanges(tx, after, commits[len(commits)-1].LSN)
		if err == nil {
			distribute(commits, changes)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	// Asked last, so that nothing can have been trimmed under the reading.
	if oldest := dbms.LSN(db.writer.history.oldest.Load()); after < oldest {
		return nil, abi.Errorf("dbms.changes", abi.Trimmed, fmt.Sprintf("LSN %d", after), "history begins at LSN %d", oldest).
			WithHint("continue from LSN %d, or keep history longer", oldest)
	}
	return commits, nil
}

var (
	commitsQuery = dbms.System(`SELECT lsn, at, procedure, principal, execution, step, node, started_at, note
		FROM dbos_transaction WHERE lsn > $1 ORDER BY lsn LIMIT $2`)
	definitionsQuery = dbms.System(`SELECT seq, name, op, coalesce(sql, ''), coalesce(renamed, ''),
		coalesce(columns, '[]'), coalesce(key, '[]'), types, defaults FROM dbos_definition ORDER BY seq`)
)

func readCommits(tx dbms.Tx, after dbms.LSN, limit int) ([]dbms.Commit, error) {
	rows, err := tx.Query(commitsQuery, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var commits []dbms.Commit
	for rows.Next() {
		var c dbms.Commit
		var execution *string
		var step *int
		err := rows.Scan(&c.LSN, &c.Time, &c.Call.Procedure, &c.Call.Principal, &execution, &step, &c.Call.Node, &c.Call.Start, &c.Note)
		if err != nil {
			return nil, err
		}
		if execution != nil {
			c.Call.Execution, c.Call.Step = *execution, *step
		}
		commits = append(commits, c)
	}
	return commits, rows.Err()
}

// A definition is a table's definition from its number on.
type definition struct {
	seq     dbms.LSN
	table   string
	op      dbms.Op
	sql     string
	renamed string
	columns []string
	key     []string
	// types and defaults are those of dbms.Change.
	types    []string
	defaults []dbms.Value
}

// readChanges reads all changes after one LSN up to another, in order.
func readChanges(tx dbms.Tx, after, upto dbms.LSN) ([]dbms.Change, error) {
	definitions, err := readDefinitions(tx)
	if err != nil {
		return nil, err
	}
	var changes []dbms.Change
	for _, name := range definitionNames(definitions) {
		versions := definitions[name]
		for _, d := range versions {
			if d.seq > after && d.seq <= upto {
				changes = append(changes, d.change())
			}
		}
		if changes, err = appendRows(tx, changes, versions, after, upto); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(changes, func(a, b dbms.Change) int { return cmp.Compare(a.LSN, b.LSN) })
	return changes, nil
}

func readDefinitions(tx dbms.Tx) (map[string][]definition, error) {
	rows, err := tx.Query(definitionsQuery)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	definitions := map[string][]definition{}
	for rows.Next() {
		var d definition
		var op string
		var columns, key, types, defaults json.RawMessage
		if err := rows.Scan(&d.seq, &d.table, &op, &d.sql, &d.renamed, &columns, &key, &types, &defaults); err != nil {
			return nil, err
		}
		d.op = dbms.Op(op)
		if err := json.Unmarshal(columns, &d.columns); err != nil {
			return nil, corruptDefinition(d, err)
		}
		if err := json.Unmarshal(key, &d.key); err != nil {
			return nil, corruptDefinition(d, err)
		}
		if types != nil {
			if err := json.Unmarshal(types, &d.types); err != nil {
				return nil, corruptDefinition(d, err)
			}
		}
		if defaults != nil {
			var err error
			if d.defaults, err = dbms.UnmarshalValues(defaults); err != nil {
				return nil, corruptDefinition(d, err)
			}
		}
		name := strings.ToLower(d.table)
		definitions[name] = append(definitions[name], d)
	}
	return definitions, rows.Err()
}

// change returns the definition as a reader gets it.
func (d definition) change() dbms.Change {
	return dbms.Change{
		LSN: d.seq, Table: d.table, Op: d.op, Schema: d.sql, Renamed: d.renamed,
		Columns: d.columns, KeyColumns: d.key, Types: d.types, Defaults: d.defaults,
	}
}

func corruptDefinition(d definition, err error) error {
	return abi.Errorf("dbms.changes", abi.Corrupt, "definition of table "+d.table, "%w", err)
}

func definitionNames(definitions map[string][]definition) []string {
	names := make([]string, 0, len(definitions))
	for name := range definitions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// appendRows appends the row changes of one table, whose definitions are
// given in order.
func appendRows(tx dbms.Tx, changes []dbms.Change, versions []definition, after, upto dbms.LSN) ([]dbms.Change, error) {
	query := dbms.System("SELECT * FROM " + quote("h_"+versions[0].table) + " WHERE dbos_seq > $1 AND dbos_seq <= $2 ORDER BY dbos_seq")
	found, err := tx.Query(query, after, upto)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	r := found.(*rows)
	var read rowReader
	for r.Next() {
		seq := dbms.LSN(r.value(0).(int64))
		for len(versions) > 1 && versions[1].seq < seq {
			versions = versions[1:]
			read = rowReader{}
		}
		if read.definition.seq == 0 {
			read = newRowReader(versions[0], r.stmt.columns)
		}
		changes = append(changes, read.change(r, seq))
	}
	return changes, r.Err()
}

// A rowReader turns the rows of a history table into changes of one
// definition of the table.
type rowReader struct {
	definition definition
	columns    []int // positions of the definition's columns
	key        []int // positions of its key
}

func newRowReader(d definition, names []string) rowReader {
	r := rowReader{definition: d}
	for _, name := range d.columns {
		r.columns = append(r.columns, indexOf(names, name))
	}
	for _, name := range d.key {
		r.key = append(r.key, indexOf(names, name))
	}
	return r
}

func (rr *rowReader) change(r *rows, seq dbms.LSN) dbms.Change {
	d := rr.definition
	c := dbms.Change{
		LSN: seq, Table: d.table, Op: dbms.Op(r.value(1).(string)),
		Columns: d.columns, KeyColumns: d.key, Key: values(r, rr.key),
	}
	if c.Op != dbms.Delete {
		c.Row = values(r, rr.columns)
	}
	return c
}

func values(r *rows, positions []int) []dbms.Value {
	vs := make([]dbms.Value, len(positions))
	for i, p := range positions {
		vs[i] = r.value(p)
	}
	return vs
}

// distribute gives each commit its changes: those with a number up to its
// own.
func distribute(commits []dbms.Commit, changes []dbms.Change) {
	for i := range commits {
		n := 0
		for n < len(changes) && changes[n].LSN <= commits[i].LSN {
			n++
		}
		commits[i].Changes, changes = changes[:n:n], changes[n:]
		// One after the other: a transaction reads all that was before it.
		commits[i].Snapshot = commits[i].LSN - 1
		if n > 0 {
			commits[i].Snapshot = commits[i].Changes[0].LSN - 1
		}
	}
}
