package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// UpdateExclusive implements dbms.DB. The one writer is alone in any case; an
// exclusive function has its commit group to itself, so that everything before
// it is committed.
func (db *DB) UpdateExclusive(ctx context.Context, call abi.Call, tables []string, fn func(dbms.Tx) error) (dbms.LSN, error) {
	return db.update(ctx, call, func(t dbms.Tx) error {
		known, err := db.Tables(t)
		if err != nil {
			return err
		}
		for _, name := range tables {
			if !slices.ContainsFunc(known, func(c dbms.Change) bool { return strings.EqualFold(c.Table, name) }) {
				return abi.Errorf("dbms.update", abi.NotFound, "table "+name, "there is no tracked table of this name")
			}
		}
		return fn(t)
	}, true)
}

// Tables implements dbms.DB.
func (db *DB) Tables(t dbms.Tx) ([]dbms.Change, error) {
	own, ok := t.(*tx)
	if !ok {
		return nil, abi.Errorf("dbms.tables", abi.Invalid, "transaction", "it belongs to another database")
	}
	if err := own.enter(); err != nil {
		return nil, err
	}
	defer own.leave()
	own.conn.auth.begin(false)
	tables, err := readTables(own.conn, nil)
	if err != nil {
		return nil, own.explain(err)
	}
	since := map[string]dbms.LSN{}
	err = own.conn.scan("SELECT lower(name), max(seq) FROM dbos_definition GROUP BY 1", func(r dbms.Rows) error {
		var name string
		var seq dbms.LSN
		err := r.Scan(&name, &seq)
		since[name] = seq
		return err
	})
	if err != nil {
		return nil, own.explain(err)
	}
	var list []dbms.Change
	for _, name := range sorted(tables) {
		t := tables[name]
		list = append(list, dbms.Change{
			LSN: since[name], Table: t.name, Op: dbms.Define, Schema: t.sql,
			Columns: t.columns, Types: t.types, KeyColumns: t.keyColumns(),
		})
	}
	return list, nil
}
