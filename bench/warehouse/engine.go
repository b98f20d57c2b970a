package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/bench/internal/measure"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/sqlite"
	"github.com/dbos-go/dbos/warehouse"
)

// measureEngine fills the embedded engine with changes and spools them from it.
func measureEngine(ctx context.Context, s settings, parent string) (*ingest, error) {
	dir := filepath.Join(parent, "engine")
	defer os.RemoveAll(dir)
	db, err := sqlite.Open(ctx, filepath.Join(dir, "data"), dbms.Options{Durability: dbms.Async, Retention: -1, Timeout: time.Minute})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	fmt.Fprintln(os.Stderr, "engine: making changes")
	if err := fillEngine(ctx, db, s.Compare, min(s.Rows, s.Compare/2)); err != nil {
		return nil, err
	}
	w, err := warehouse.Open(ctx, filepath.Join(dir, "warehouse"), warehouse.Options{Retention: -1, Memory: s.Memory, Threads: s.Threads})
	if err != nil {
		return nil, err
	}
	defer w.Close()
	began := time.Now()
	if _, err := w.Spool(ctx, db, 0); err != nil {
		return nil, err
	}
	return &ingest{Changes: s.Compare, Took: time.Since(began), Peak: measure.PeakResident(), Bytes: w.Status().Bytes}, nil
}

var (
	insertMany = dbms.SQL(`WITH RECURSIVE n(i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
		INSERT INTO account SELECT i, 'owner ' || (i % 50000), i * 7, 'north', 0, NULL FROM n`)
	updateFew = dbms.SQL(`UPDATE account SET balance = balance + 1, visits = visits + 1 WHERE id BETWEEN $1 AND $2`)
)

// fillEngine inserts rows and updates them, perCommit in a transaction.
func fillEngine(ctx context.Context, db dbms.DB, changes, rows int) error {
	call := abi.Call{Procedure: "bench.fill", Principal: "user:1"}
	run := func(q *dbms.Query, args ...any) error {
		_, err := db.Update(ctx, call, func(tx dbms.Tx) error { _, err := tx.Exec(q, args...); return err })
		return err
	}
	err := run(dbms.SQL("CREATE TABLE account (id INTEGER PRIMARY KEY, owner TEXT, balance INTEGER, region TEXT, visits INTEGER, note TEXT)"))
	if err != nil {
		return err
	}
	for at := 0; at < rows; at += 10_000 {
		if err := run(insertMany, at, min(at+10_000, rows)-1); err != nil {
			return err
		}
	}
	for n := rows; n < changes; n += perCommit {
		at := n * 7919 % (rows - perCommit)
		if err := run(updateFew, at, at+perCommit-1); err != nil {
			return err
		}
	}
	return nil
}
