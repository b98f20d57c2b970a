package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing/fstest"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/bench/internal/measure"
)

// itemSchema is the application's table, into which transaction steps insert.
const itemSchema = `CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner bigint NOT NULL, step bigint NOT NULL);`

const itemInsert = `INSERT INTO item (owner, step) VALUES ($1, $2)`

// queueName is the queue of the jobs.
const queueName = "bench"

// open opens a node of DBOS.
func (s *settings) open(ctx context.Context, url string) (*dbos.System, error) {
	migrations := fstest.MapFS{"0001_init.sql": {Data: []byte(itemSchema)}}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	options := []dbos.Option{dbos.App("bench"), dbos.Migrations(migrations), dbos.MaxRuns(s.Workers), dbos.Logger(log)}
	if s.NoHistory {
		options = append(options, dbos.NoHistory())
	}
	return dbos.Open(ctx, withParameter(url, "dbos_connections", s.Connections), options...)
}

// withDBOS opens a database with DBOS's tables and a queue. What is started on
// it waits until there is a workflow called noop.
func (s *settings) withDBOS(ctx context.Context, do func(sys *dbos.System, url string) error) (err error) {
	url, drop, err := s.newDatabase(ctx)
	if err != nil {
		return err
	}
	defer drop()
	sys, err := s.open(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.Close()) }()
	if _, err := dbos.NewQueue(ctx, sys, queueName); err != nil {
		return err
	}
	return do(sys, url)
}

// defineNoop registers the workflow that does nothing.
func defineNoop(sys *dbos.System, work func(int64)) *dbos.Definition[int64, int64] {
	return dbos.Workflow(sys, "noop", func(_ dbos.Context, n int64) (int64, error) {
		work(n)
		return n, nil
	})
}

// enqueue puts a run of noop into the queue.
func enqueue(ctx context.Context, sys *dbos.System) error {
	_, err := sys.StartNamed(ctx, "noop", []byte("1"), dbos.OnQueueNamed(queueName))
	return err
}

func (s *settings) dbosInsert(ctx context.Context) (r measure.Result, err error) {
	err = s.withDBOS(ctx, func(sys *dbos.System, _ string) error {
		r, err = s.drive(s.Callers, func(int) error { return enqueue(ctx, sys) })
		return err
	})
	return r, err
}

// dbosInsertMany starts runs by the thousand, on a queue whose one place is
// taken: the others stay where they are.
func (s *settings) dbosInsertMany(ctx context.Context) (r measure.Result, err error) {
	err = s.withDBOS(ctx, func(sys *dbos.System, _ string) error {
		const full = "full"
		if _, err := dbos.NewQueue(ctx, sys, full, dbos.Concurrency(1)); err != nil {
			return err
		}
		def := dbos.Workflow(sys, "stay", func(ctx dbos.Context, n int64) (int64, error) {
			<-ctx.Done()
			return n, context.Cause(ctx)
		})
		r, err = s.drive(batchCallers, func(int) error { return startMany(ctx, def, batch, full) })
		return err
	})
	return times(r, batch), err
}

// startMany puts n runs into a queue at once.
func startMany(ctx context.Context, def *dbos.Definition[int64, int64], n int, queue string) error {
	_, err := def.StartMany(ctx, make([]int64, n), dbos.OnQueueNamed(queue))
	return err
}

// fill puts n runs of noop into the queue, which need not be known here.
func fill(ctx context.Context, sys *dbos.System, n int) error {
	return inBatches(n, batch, 1, func(int) error { return enqueue(ctx, sys) })
}

// dbosWork queues all runs, lets the node begin, and measures it.
func (s *settings) dbosWork(ctx context.Context) (r measure.Result, err error) {
	err = s.withDBOS(ctx, func(sys *dbos.System, url string) error {
		pool, err := s.pool(ctx, url)
		if err != nil {
			return err
		}
		defer pool.Close()
		if err := fill(ctx, sys, s.Jobs); err != nil {
			return err
		}
		worked := newCounter(s.Jobs)
		r, err = s.once(s.Jobs, func() error {
			defineNoop(sys, worked.one)
			if err := sys.Launch(ctx); err != nil {
				return err
			}
			if err := worked.wait(ctx); err != nil {
				return err
			}
			return waitForNone(ctx, pool, dbosLeft)
		})
		return err
	})
	return r, err
}

// dbosLeft asks whether a run is not finished, by the indexes of each state.
const dbosLeft = `SELECT EXISTS (SELECT 1 FROM dbos.sched_task WHERE state = 'running') OR EXISTS (SELECT 1 FROM dbos.sched_task WHERE state = 'queued')`

// dbosEndToEnd queues runs while the node executes them.
func (s *settings) dbosEndToEnd(ctx context.Context) (r measure.Result, err error) {
	err = s.withDBOS(ctx, func(sys *dbos.System, url string) error {
		pool, err := s.pool(ctx, url)
		if err != nil {
			return err
		}
		defer pool.Close()
		worked := newCounter(s.Jobs)
		def := defineNoop(sys, worked.one)
		if err := sys.Launch(ctx); err != nil {
			return err
		}
		r, err = s.once(s.Jobs, func() error {
			err := inBatches(s.Jobs, batchCallers, batch, func(n int) error { return startMany(ctx, def, n, queueName) })
			if err != nil {
				return err
			}
			if err := worked.wait(ctx); err != nil {
				return err
			}
			return waitForNone(ctx, pool, dbosLeft)
		})
		return err
	})
	return r, err
}

// workflow returns a side whose callers start a workflow of some steps and
// wait for its result.
func (s *settings) workflow(steps int, transaction bool) func(context.Context) (measure.Result, error) {
	return func(ctx context.Context) (r measure.Result, err error) {
		err = s.withDBOS(ctx, func(sys *dbos.System, _ string) error {
			def := defineSteps(sys, steps, transaction)
			if err := sys.Launch(ctx); err != nil {
				return err
			}
			r, err = s.drive(s.Callers, func(caller int) error {
				run, err := def.Start(ctx, int64(caller))
				if err != nil {
					return err
				}
				_, err = run.Result(ctx)
				return err
			})
			return err
		})
		return r, err
	}
}

func defineSteps(sys *dbos.System, steps int, transaction bool) *dbos.Definition[int64, int64] {
	return dbos.Workflow(sys, "steps", func(ctx dbos.Context, caller int64) (int64, error) {
		for i := range steps {
			var err error
			if transaction {
				_, err = dbos.Transaction(ctx, "insert", func(tx *dbos.Tx) (int, error) {
					_, err := tx.Exec(itemInsert, caller, i)
					return i, err
				})
			} else {
				_, err = dbos.Step(ctx, "step", func(context.Context) (int, error) { return i, nil })
			}
			if err != nil {
				return 0, err
			}
		}
		return caller, nil
	})
}
