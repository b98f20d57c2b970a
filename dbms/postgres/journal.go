package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// A journal reads changes that triggers have recorded.
type journal struct {
	h    *history
	xids string // of the transactions, as an array's text

	definitions []*definition
	columns     map[int64][]string // of history tables, by OID
	names       map[int64]string
}

// read returns the changes by transaction, in the order in which they were
// made.
func (j *journal) read(ctx context.Context) (map[int64][]event, error) {
	events := map[int64][]event{}
	if err := j.readDefinitions(ctx, events); err != nil {
		return nil, err
	}
	tables, err := j.touched(ctx)
	if err != nil {
		return nil, err
	}
	for _, table := range tables {
		if err := j.readTable(ctx, table, events); err != nil {
			return nil, err
		}
	}
	for _, list := range events {
		slices.SortStableFunc(list, func(a, b event) int { return int(a.n - b.n) })
		arrange(list)
	}
	return events, nil
}

// readDefinitions reads all definitions, and makes changes of those that the
// transactions have made.
func (j *journal) readDefinitions(ctx context.Context, events map[int64][]event) error {
	rows, err := j.h.sql.query(ctx, `SELECT `+definitionColumns+`, d.xid, d.lsn IS DISTINCT FROM 0 AND d.xid = ANY($1::bigint[]) FROM dbos_definition d ORDER BY d.n`, j.xids)
	if err != nil {
		return err
	}
	for _, r := range rows {
		d, err := scanDefinition(r)
		if err != nil {
			return err
		}
		j.definitions = append(j.definitions, &d)
		if own := r[len(r)-2:]; own[1] == int64(1) {
			xid := own[0].(int64)
			events[xid] = append(events[xid], event{table: &d, op: d.op, n: d.n})
		}
	}
	return nil
}

// touched returns the history tables that have changes of the transactions.
func (j *journal) touched(ctx context.Context) ([]int64, error) {
	rows, err := j.h.sql.query(ctx, `SELECT c.oid::bigint, c.relname, a.attname FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 5 AND NOT a.attisdropped
		WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' AND c.oid IN (SELECT history::oid FROM dbos_definition)
		ORDER BY c.oid, a.attnum`, j.h.schema)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	j.columns, j.names = map[int64][]string{}, map[int64]string{}
	var parts []string
	for _, r := range rows {
		oid := r[0].(int64)
		if j.columns[oid] == nil {
			j.names[oid] = r[1].(string)
			parts = append(parts, fmt.Sprintf("SELECT %d::bigint WHERE EXISTS (SELECT FROM %s WHERE dbos_xid = ANY($1::bigint[]))", oid, quoteName(j.names[oid])))
		}
		j.columns[oid] = append(j.columns[oid], r[2].(string))
	}
	rows, err = j.h.sql.query(ctx, strings.Join(parts, " UNION ALL "), j.xids)
	var touched []int64
	for _, r := range rows {
		touched = append(touched, r[0].(int64))
	}
	return touched, err
}

// readTable reads the changes of one history table.
func (j *journal) readTable(ctx context.Context, oid int64, events map[int64][]event) error {
	columns := j.columns[oid]
	list := []string{"dbos_xid", "dbos_n", "dbos_op", "coalesce(dbos_old, '')", "coalesce(dbos_new, '')"}
	for _, c := range columns {
		list = append(list, quoteName(c))
	}
	rows, err := j.h.sql.query(ctx, "SELECT "+strings.Join(list, ", ")+" FROM "+quoteName(j.names[oid])+
		" WHERE dbos_xid = ANY($1::bigint[]) ORDER BY dbos_n", j.xids)
	if err != nil {
		return err
	}
	var versions []*definition
	for _, d := range j.definitions {
		if d.history == oid && d.op != dbms.Drop {
			versions = append(versions, d)
		}
	}
	var table *definition
	var row, key []int
	for _, r := range rows {
		n := r[1].(int64)
		for len(versions) > 0 && (versions[0].n < n || table == nil) {
			table, versions = versions[0], versions[1:]
			row, key = positions(table.columns, columns), positions(recordedKey(table), columns)
		}
		if table == nil {
			continue // trimmed meanwhile, which the caller finds out
		}
		e := event{table: table, op: dbms.Op(r[2].(string)), before: r[3].(string), after: r[4].(string), n: n}
		if e.key = pick(r[5:], key); len(key) == 0 {
			e.key = []dbms.Value{e.place()}
		}
		if e.op != dbms.Delete {
			e.row = pick(r[5:], row)
		}
		xid := r[0].(int64)
		events[xid] = append(events[xid], e)
	}
	return nil
}

func pick(row []dbms.Value, places []int) []dbms.Value {
	vs := make([]dbms.Value, len(places))
	for i, at := range places {
		if at >= 0 {
			vs[i] = row[at]
		}
	}
	return vs
}

// calls returns the calls that each transaction holds.
func (j *journal) calls(ctx context.Context) (map[int64][]recordedCall, error) {
	rows, err := j.h.sql.query(ctx, "SELECT xid, lsn, coalesce(execution, '') FROM dbos_transaction WHERE xid = ANY($1::bigint[])", j.xids)
	calls := map[int64][]recordedCall{}
	for _, r := range rows {
		xid := r[0].(int64)
		calls[xid] = append(calls[xid], recordedCall{dbms.LSN(r[1].(int64)), r[2].(string)})
	}
	return calls, err
}
