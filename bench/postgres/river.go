package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/dbos-go/dbos/bench/internal/measure"
)

// noop is a job that does nothing.
type noop struct {
	Number int64 `json:"number"`
}

// Kind implements river.JobArgs.
func (noop) Kind() string { return "noop" }

type noopWorker struct {
	river.WorkerDefaults[noop]
	work func(int64)
}

// Work implements river.Worker.
func (w *noopWorker) Work(_ context.Context, job *river.Job[noop]) error {
	w.work(job.Args.Number)
	return nil
}

type riverClient = river.Client[pgx.Tx]

// newRiver returns a client with the settings of River's own benchmark
// (cmd/river/riverbench).
func (s *settings) newRiver(pool *pgxpool.Pool, work func(int64)) (*riverClient, error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, &noopWorker{work: work})
	return river.NewClient(riverpgxv5.New(pool), &river.Config{
		FetchCooldown:     2 * time.Millisecond,
		FetchPollInterval: 20 * time.Millisecond,
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: s.Workers}},
		Workers:           workers,
		Logger:            slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
}

// riverLeft asks whether a job is not completed, by the index that begins with
// the state.
const riverLeft = `SELECT EXISTS (SELECT 1 FROM river_job WHERE state = 'running') OR EXISTS (SELECT 1 FROM river_job WHERE state = 'available')`

// withRiver opens a database with River's tables. work is what a job does.
func (s *settings) withRiver(ctx context.Context, work func(int64), do func(*riverClient, *pgxpool.Pool) error) error {
	url, drop, err := s.newDatabase(ctx)
	if err != nil {
		return err
	}
	defer drop()
	pool, err := s.riverPool(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	client, err := s.newRiver(pool, work)
	if err != nil {
		return err
	}
	return do(client, pool)
}

// riverPool opens connections and brings River's tables up to date.
func (s *settings) riverPool(ctx context.Context, url string) (*pgxpool.Pool, error) {
	pool, err := s.pool(ctx, url)
	if err != nil {
		return nil, err
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	}
	if err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

func (s *settings) riverInsert(ctx context.Context) (r measure.Result, err error) {
	err = s.withRiver(ctx, ignore, func(client *riverClient, _ *pgxpool.Pool) error {
		r, err = s.drive(s.Callers, func(caller int) error {
			_, err := client.Insert(ctx, noop{int64(caller)}, nil)
			return err
		})
		return err
	})
	return r, err
}

func ignore(int64) {}

func (s *settings) riverInsertMany(ctx context.Context) (r measure.Result, err error) {
	err = s.withRiver(ctx, ignore, func(client *riverClient, _ *pgxpool.Pool) error {
		r, err = s.drive(batchCallers, func(int) error {
			_, err := client.InsertManyFast(ctx, noops(batch))
			return err
		})
		return err
	})
	return times(r, batch), err
}

func noops(n int) []river.InsertManyParams {
	jobs := make([]river.InsertManyParams, n)
	for i := range jobs {
		jobs[i].Args = noop{int64(i)}
	}
	return jobs
}

// riverWork inserts all jobs, starts the workers, and measures these.
func (s *settings) riverWork(ctx context.Context) (r measure.Result, err error) {
	worked := newCounter(s.Jobs)
	err = s.withRiver(ctx, worked.one, func(client *riverClient, pool *pgxpool.Pool) (err error) {
		for left := s.Jobs; left > 0; left -= batch {
			if _, err := client.InsertManyFast(ctx, noops(min(left, batch))); err != nil {
				return err
			}
		}
		r, err = s.once(s.Jobs, func() error { return riverDrain(ctx, client, pool, worked) })
		return errors.Join(err, client.Stop(ctx))
	})
	return r, err
}

func riverDrain(ctx context.Context, client *riverClient, pool *pgxpool.Pool, worked *counter) error {
	if err := client.Start(ctx); err != nil {
		return err
	}
	if err := worked.wait(ctx); err != nil {
		return err
	}
	return waitForNone(ctx, pool, riverLeft)
}

// riverEndToEnd inserts jobs in batches while the workers run.
func (s *settings) riverEndToEnd(ctx context.Context) (r measure.Result, err error) {
	worked := newCounter(s.Jobs)
	err = s.withRiver(ctx, worked.one, func(client *riverClient, pool *pgxpool.Pool) (err error) {
		if err := client.Start(ctx); err != nil {
			return err
		}
		r, err = s.once(s.Jobs, func() error {
			err := inBatches(s.Jobs, batchCallers, batch, func(n int) error {
				_, err := client.InsertManyFast(ctx, noops(n))
				return err
			})
			if err == nil {
				err = worked.wait(ctx)
			}
			if err != nil {
				return err
			}
			return waitForNone(ctx, pool, riverLeft)
		})
		return errors.Join(err, client.Stop(ctx))
	})
	return r, err
}

// inBatches calls do from so many goroutines until n things are done, at most
// size at once.
func inBatches(n, callers, size int, do func(n int) error) error {
	var next atomic.Int64
	failures := make(chan error, callers)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for {
				end := next.Add(int64(size))
				some := min(size, n-int(end)+size)
				if some <= 0 {
					return
				}
				if err := do(some); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failures)
	return <-failures // nil if there is none
}

// A counter counts what has been worked and knows when it was all.
type counter struct {
	left atomic.Int64
	all  chan struct{}
}

func newCounter(n int) *counter {
	c := &counter{all: make(chan struct{})}
	c.left.Store(int64(n))
	return c
}

func (c *counter) one(int64) {
	if c.left.Add(-1) == 0 {
		close(c.all)
	}
}

func (c *counter) wait(ctx context.Context) error {
	select {
	case <-c.all:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
