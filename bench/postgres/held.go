package main

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/bench/internal/measure"
)

// heldSnapshot compares a queue that is worked for some time with and without
// another session that holds an open snapshot all the while. Nothing that the
// queue leaves behind can then be cleaned up, so a queue that has to look at
// its finished work becomes slower and slower: the last third is what counts.
func (s *settings) heldSnapshot(ctx context.Context, w io.Writer) error {
	table := measure.Table{Header: []string{fmt.Sprintf("jobs/s in the last third of %v", s.Held), "no snapshot held", "snapshot held", "held ÷ not"}}
	for _, side := range []struct {
		name string
		run  func(context.Context, bool) (float64, error)
	}{{sideRiver, s.riverSustained}, {sideDBOS, s.dbosSustained}} {
		if !s.wanted.MatchString(side.name) {
			continue
		}
		free, err := side.run(ctx, false)
		if err != nil {
			return err
		}
		held, err := side.run(ctx, true)
		if err != nil {
			return err
		}
		table.Add(side.name, measure.Count(free), measure.Count(held), measure.Ratio(held, free))
	}
	table.Print(w)
	return nil
}

// hold opens a snapshot, if it shall, and returns what ends it.
func hold(ctx context.Context, url string, held bool) (func(), error) {
	if !held {
		return func() {}, nil
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, `BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class`); err != nil {
		return nil, err
	}
	return func() { conn.Close(context.WithoutCancel(ctx)) }, nil
}

// sustain keeps the queue filled for the given time and returns the rate of
// its last third. insert puts in some jobs; worked counts those done.
func (s *settings) sustain(ctx context.Context, worked *atomic.Int64, insert func(n int) error) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Held)
	defer cancel()
	began := time.Now()
	var inserted, at int64
	var mark time.Time
	for ctx.Err() == nil {
		if mark.IsZero() && time.Since(began) > s.Held*2/3 {
			mark, at = time.Now(), worked.Load()
		}
		if inserted-worked.Load() > int64(3*s.Workers) {
			select { // enough for now
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		if err := insert(batch); err != nil {
			return 0, err
		}
		inserted += batch
	}
	return float64(worked.Load()-at) / time.Since(mark).Seconds(), nil
}

func (s *settings) riverSustained(ctx context.Context, held bool) (rate float64, err error) {
	var worked atomic.Int64
	err = s.withRiver(ctx, func(int64) { worked.Add(1) }, func(client *riverClient, pool *pgxpool.Pool) error {
		release, err := hold(ctx, pool.Config().ConnString(), held)
		if err != nil {
			return err
		}
		defer release()
		if err := client.Start(ctx); err != nil {
			return err
		}
		rate, err = s.sustain(ctx, &worked, func(n int) error {
			_, err := client.InsertManyFast(ctx, noops(n))
			return err
		})
		if err != nil {
			return err
		}
		return client.StopAndCancel(ctx)
	})
	return rate, err
}

func (s *settings) dbosSustained(ctx context.Context, held bool) (rate float64, err error) {
	err = s.withDBOS(ctx, func(sys *dbos.System, url string) error {
		release, err := hold(ctx, url, held)
		if err != nil {
			return err
		}
		defer release()
		var worked atomic.Int64
		def := defineNoop(sys, func(int64) { worked.Add(1) })
		if err := sys.Launch(ctx); err != nil {
			return err
		}
		rate, err = s.sustain(ctx, &worked, func(n int) error { return startMany(ctx, def, n, queueName) })
		return err
	})
	return rate, err
}
