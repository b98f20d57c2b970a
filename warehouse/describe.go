//go:build cgo

package warehouse

import (
	"context"
	"errors"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Describe says what a statement takes and gives, without running it. What is no
// statement for Query is refused as there.
func (w *Warehouse) Describe(ctx context.Context, at dbms.LSN, text string) (Description, error) {
	r, err := w.ask(ctx, at)
	if err != nil {
		return Description{}, err
	}
	defer r.Close()
	if _, err := checkStatement(ctx, r.s, text); err != nil {
		return Description{}, err
	}
	prepared, err := r.s.PrepareContext(ctx, text)
	if err != nil {
		return Description{}, storeError("warehouse.describe", ctx, err)
	}
	defer prepared.Close()
	stmt, ok := prepared.(*duckdb.Stmt)
	if !ok {
		return Description{}, abi.Errorf("warehouse.describe", abi.Unsupported, "statement", "the store cannot describe it")
	}
	return describe(ctx, r, stmt, text)
}

func describe(ctx context.Context, r *Rows, stmt *duckdb.Stmt, text string) (Description, error) {
	d := Description{Params: make([]string, max(stmt.NumInput(), 0))}
	for i := range d.Params {
		if t, err := stmt.ParamType(i + 1); err == nil && t != duckdb.TYPE_INVALID && t != duckdb.TYPE_ANY {
			d.Params[i] = typeName(t)
		}
	}
	n, err := stmt.ColumnCount()
	if err != nil {
		return Description{}, storeError("warehouse.describe", ctx, err)
	}
	known := true
	for i := range n {
		name, err := stmt.ColumnName(i)
		if err != nil {
			return Description{}, storeError("warehouse.describe", ctx, err)
		}
		t, err := stmt.ColumnType(i)
		known = known && err == nil && t != duckdb.TYPE_INVALID && t != duckdb.TYPE_ANY
		d.Columns = append(d.Columns, Column{Name: name})
	}
	if !known || len(d.Params) > 0 {
		for i := range d.Columns {
			d.Columns[i].Type = columnType(stmt, i)
		}
		return d, nil
	}
	// The store's own names of types, with sizes and what they are made of.
	if err := r.start("SELECT * FROM ("+trimmed(text)+"\n) LIMIT 0", nil); err != nil {
		if errors.Is(err, ctx.Err()) && ctx.Err() != nil {
			return Description{}, err
		}
		for i := range d.Columns {
			d.Columns[i].Type = columnType(stmt, i)
		}
		return d, nil
	}
	for i, c := range r.columns {
		d.Columns[i].Type = c.Type
	}
	return d, nil
}

func columnType(stmt *duckdb.Stmt, i int) string {
	t, err := stmt.ColumnType(i)
	if err != nil || t == duckdb.TYPE_INVALID || t == duckdb.TYPE_ANY {
		return ""
	}
	if info, err := stmt.ColumnTypeInfo(i); err == nil && t == duckdb.TYPE_DECIMAL {
		if dec, ok := info.Details().(*duckdb.DecimalDetails); ok {
			return class{Kind: kindDecimal, Width: dec.Width, Scale: dec.Scale}.stored()
		}
	}
	return typeName(t)
}

// typeNames are the store's names of types of values, where one says it all.
var typeNames = map[duckdb.Type]string{duckdb.TYPE_BOOLEAN: "BOOLEAN", duckdb.TYPE_TINYINT: "TINYINT", duckdb.TYPE_SMALLINT: "SMALLINT",
	duckdb.TYPE_INTEGER: "INTEGER", duckdb.TYPE_BIGINT: "BIGINT", duckdb.TYPE_UTINYINT: "UTINYINT", duckdb.TYPE_USMALLINT: "USMALLINT",
	duckdb.TYPE_UINTEGER: "UINTEGER", duckdb.TYPE_UBIGINT: "UBIGINT", duckdb.TYPE_HUGEINT: "HUGEINT", duckdb.TYPE_FLOAT: "FLOAT", duckdb.TYPE_DOUBLE: "DOUBLE",
	duckdb.TYPE_TIMESTAMP: "TIMESTAMP", duckdb.TYPE_TIMESTAMP_TZ: "TIMESTAMPTZ", duckdb.TYPE_DATE: "DATE", duckdb.TYPE_TIME: "TIME",
	duckdb.TYPE_INTERVAL: "INTERVAL", duckdb.TYPE_VARCHAR: "VARCHAR", duckdb.TYPE_BLOB: "BLOB", duckdb.TYPE_DECIMAL: "DECIMAL", duckdb.TYPE_UUID: "UUID"}

func typeName(t duckdb.Type) string { return typeNames[t] }
