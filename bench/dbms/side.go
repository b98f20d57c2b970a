package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/bench/internal/bare"
	"github.com/dbos-go/dbos/bench/internal/measure"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/sqlite"
)

// The sides: SQLite with nothing but the workload's statements, SQLite that
// also records each call in a row as the engine must, the engine without
// history, and the engine as it is.
const (
	sidePlain     = "plain"
	sideFloor     = "floor"
	sideNoHistory = "nohistory"
	sideDBOS      = "dbos"
)

// A run is one side of a case: a workload under one load.
type run struct {
	*measure.Comparison
	workload   workload
	callers    int
	durability dbms.Durability
}

func cases(c *measure.Comparison) []measure.Case {
	var all []measure.Case
	for _, w := range workloads() {
		for _, callers := range []int{1, 8, 64} {
			for _, d := range []dbms.Durability{dbms.Async, dbms.Sync} {
				r := run{c, w, callers, d}
				all = append(all, measure.Case{
					Name:  fmt.Sprintf("%s/%d/%s", w.name, callers, d),
					Sides: r.sides(),
				})
			}
		}
	}
	return all
}

func (r run) sides() []measure.Side {
	sides := []measure.Side{
		{Name: sidePlain, Run: func(context.Context) (measure.Result, error) { return r.bare(false) }},
		{Name: sideFloor, Run: func(context.Context) (measure.Result, error) { return r.bare(true) }},
		{Name: sideNoHistory, Run: func(ctx context.Context) (measure.Result, error) { return r.engine(ctx, true) }},
		{Name: sideDBOS, Run: func(ctx context.Context) (measure.Result, error) { return r.engine(ctx, false) }},
	}
	if r.workload.empty {
		return sides[1:] // no statements, nothing to measure
	}
	return sides
}

// engine measures DBOS: each caller calls Update in a loop.
func (r run) engine(ctx context.Context, noHistory bool) (result measure.Result, err error) {
	dir, err := os.MkdirTemp(r.Dir, "dbos-bench-")
	if err != nil {
		return result, err
	}
	defer os.RemoveAll(dir)
	db, err := sqlite.Open(ctx, dir, dbms.Options{Durability: r.durability, NoHistory: noHistory})
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := migrate(ctx, db, r.workload); err != nil {
		return result, err
	}
	call := abi.Call{Procedure: "bench." + r.workload.name, Principal: "bench"}
	done := make([]counter, r.callers)
	load := measure.Load{Callers: r.callers, Warmup: r.Warmup(), Duration: r.Duration, Sample: 8}
	return load.Run(func(caller int) error {
		done[caller].n++
		_, err := db.Update(ctx, call, func(tx dbms.Tx) error {
			return r.workload.engine(tx, int64(caller), done[caller].n)
		})
		return err
	})
}

// migrate makes the workload's tables.
func migrate(ctx context.Context, db dbms.DB, w workload) error {
	return db.Migrate(ctx, dbms.Migrations{
		Owner: "app:bench", Application: true,
		Steps: []dbms.Migration{{Version: 1, Name: "init", SQL: w.schema}},
	})
}

// A counter has a cache line of its own.
type counter struct {
	n int64
	_ [56]byte
}

// bare measures SQLite alone: one goroutine, as many procedures a transaction
// as the case has callers, because more can never wait at once.
func (r run) bare(calls bool) (result measure.Result, err error) {
	dir, err := os.MkdirTemp(r.Dir, "dbos-bench-")
	if err != nil {
		return result, err
	}
	defer os.RemoveAll(dir)
	db, err := bare.Open(dir, r.durability, r.workload.schema)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	procedure, err := r.workload.prepare(db)
	if err != nil {
		return result, err
	}
	n := int64(0)
	load := measure.Load{Callers: 1, Warmup: r.Warmup(), Duration: r.Duration}
	result, err = load.Run(func(int) error {
		n++
		return db.Group(r.callers, calls, func(i int) error { return procedure(int64(i), n) })
	})
	result.Operations *= int64(r.callers)
	return result, err
}
