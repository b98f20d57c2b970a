package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// UpdateExclusive implements dbms.DB. The tables are locked against writers
// before the snapshot is taken, so that it has all that they did.
func (db *DB) UpdateExclusive(ctx context.Context, call abi.Call, tables []string, fn func(dbms.Tx) error) (dbms.LSN, error) {
	names, err := db.existing(ctx, tables)
	if err != nil {
		return 0, err
	}
	mode := txMode{purpose: db.updates.purpose, anchored: true}
	limits := []string{"idle_in_transaction_session_timeout", "statement_timeout"}
	if db.major() >= 17 {
		limits = append(limits, "transaction_timeout")
	}
	for _, setting := range limits {
		mode.exclusive = append(mode.exclusive, &statement{text: "SET LOCAL " + setting + " TO 0"})
	}
	if len(names) > 0 {
		mode.exclusive = append(mode.exclusive, &statement{text: "LOCK TABLE " + strings.Join(names, ", ") + " IN SHARE ROW EXCLUSIVE MODE"})
	}
	return db.updateAs(ctx, call, fn, db.updates, mode)
}

// existing returns the tables' quoted names in order, those of all tracked
// ones if none are named.
func (db *DB) existing(ctx context.Context, tables []string) ([]string, error) {
	var known []dbms.Change
	err := db.View(ctx, func(tx dbms.Tx) (err error) {
		known, err = db.Tables(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range known {
		if len(tables) == 0 || slices.Contains(tables, t.Table) {
			names = append(names, db.settings.schema+"."+quoteName(t.Table))
		}
	}
	for _, name := range tables {
		if !slices.ContainsFunc(known, func(t dbms.Change) bool { return t.Table == name }) {
			return nil, abi.Errorf("dbms.update", abi.NotFound, "table "+name, "there is no tracked table of this name")
		}
	}
	return names, nil
}

// Tables implements dbms.DB.
func (db *DB) Tables(t dbms.Tx) ([]dbms.Change, error) {
	if own, ok := t.(*tx); !ok || own.db != db {
		return nil, abi.Errorf("dbms.tables", abi.Invalid, "transaction", "it belongs to another database")
	}
	sql := txSQL{t}
	relations, err := db.history.relations(context.Background(), sql)
	if err != nil {
		return nil, err
	}
	rows, err := sql.query(context.Background(), `SELECT d.relid, max(coalesce(d.lsn, (SELECT min(t.lsn) FROM dbos_transaction t
		WHERE t.xid = d.xid AND t.lsn > coalesce((SELECT value::bigint FROM dbos_history WHERE key = 'stamped'), 0)), 0))
		FROM dbos_definition d GROUP BY d.relid`)
	if err != nil {
		return nil, err
	}
	since := map[int64]int64{}
	for _, r := range rows {
		since[r[0].(int64)] = r[1].(int64)
	}
	var list []dbms.Change
	for _, r := range relations {
		if !r.tracked() {
			continue
		}
		s, err := readTable(context.Background(), sql, r.oid)
		if err != nil {
			return nil, err
		}
		list = append(list, dbms.Change{
			LSN: dbms.LSN(since[r.oid]), Table: r.name, Op: dbms.Define, Schema: s.ddl(r.name),
			Columns: s.names(), Types: s.types(), KeyColumns: s.keyNames(),
		})
	}
	slices.SortFunc(list, func(a, b dbms.Change) int { return strings.Compare(a.Table, b.Table) })
	return list, nil
}

// txSQL runs the system's statements in a transaction of the seam.
type txSQL struct{ tx dbms.Tx }

func (s txSQL) exec(_ context.Context, sql string, args ...any) error {
	_, err := s.tx.Exec(dbms.System(sql), args...)
	return err
}

func (s txSQL) query(_ context.Context, sql string, args ...any) ([][]dbms.Value, error) {
	rows, err := s.tx.Query(dbms.System(sql), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list [][]dbms.Value
	for rows.Next() {
		values := make([]dbms.Value, len(rows.Columns()))
		dest := make([]any, len(values))
		for i := range values {
			dest[i] = (*any)(&values[i])
		}
		if err := rows.Scan(dest...); err != nil {
			return nil, err
		}
		list = append(list, values)
	}
	return list, rows.Err()
}

var _ executor = txSQL{}
