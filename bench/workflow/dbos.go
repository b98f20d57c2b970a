package main

import (
	"context"
	"errors"
	"os"
	"testing/fstest"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/bench/internal/measure"
)

// itemSchema is the application's table, into which transaction steps insert.
const itemSchema = `CREATE TABLE item (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, step INTEGER NOT NULL);`

const itemInsert = `INSERT INTO item (owner, step) VALUES ($1, $2)`

// open opens the SDK on a data directory with the application's table.
func (l load) open(ctx context.Context, dir string) (*dbos.System, error) {
	migrations := fstest.MapFS{"0001_init.sql": {Data: []byte(itemSchema)}}
	return dbos.Open(ctx, dir, dbos.App("bench"), dbos.Migrations(migrations), dbos.Durability(l.durability))
}

// define registers the workflow of the load.
func (l load) define(sys *dbos.System) *dbos.Definition[int, int] {
	return dbos.Workflow(sys, "bench", func(ctx dbos.Context, caller int) (int, error) {
		for i := range l.steps {
			if err := l.step(ctx, caller, i); err != nil {
				return 0, err
			}
		}
		return caller, nil
	})
}

func (l load) step(ctx dbos.Context, caller, i int) error {
	if !l.transaction {
		_, err := dbos.Step(ctx, "step", func(context.Context) (int, error) { return i, nil })
		return err
	}
	_, err := dbos.Transaction(ctx, "insert", func(tx *dbos.Tx) (int, error) {
		_, err := tx.Exec(itemInsert, caller, i)
		return i, err
	})
	return err
}

// dbos measures workflows: each caller starts one and waits for its result.
func (l load) dbos(ctx context.Context) (result measure.Result, err error) {
	dir, err := os.MkdirTemp(l.Dir, "dbos-bench-")
	if err != nil {
		return result, err
	}
	defer os.RemoveAll(dir)
	sys, err := l.open(ctx, dir)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, sys.Close()) }()
	workflow := l.define(sys)
	if err := sys.Launch(ctx); err != nil {
		return result, err
	}
	run := measure.Load{Callers: l.callers, Warmup: l.Warmup(), Duration: l.Duration}
	return run.Run(func(caller int) error {
		run, err := workflow.Start(ctx, caller)
		if err != nil {
			return err
		}
		_, err = run.Result(ctx)
		return err
	})
}
