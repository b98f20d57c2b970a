package main

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/bench/internal/measure"
)

// samplePause is the time between two samples of the latency: long enough for
// the queue to be idle. It is no multiple of anybody's polling interval.
const samplePause = 23 * time.Millisecond

// latency measures how long a job, which this process puts into an empty
// queue, takes to begin in another process.
func (s *settings) latency(ctx context.Context, w io.Writer) error {
	table := measure.Table{Header: []string{"from enqueue to start in another process, idle queue", "p50", "p90", "p99", "worst"}}
	for _, side := range []struct {
		name string
		run  func(context.Context) (measure.Latencies, error)
	}{{sideRiver, s.riverLatency}, {sideDBOS, s.dbosLatency}} {
		if !s.wanted.MatchString(side.name) {
			continue
		}
		l, err := side.run(ctx)
		if err != nil {
			return err
		}
		table.Add(side.name, measure.Duration(l.Quantile(0.5)), measure.Duration(l.Quantile(0.9)),
			measure.Duration(l.Quantile(0.99)), measure.Duration(l.Quantile(1)))
	}
	table.Print(w)
	return nil
}

func (s *settings) riverLatency(ctx context.Context) (l measure.Latencies, err error) {
	err = s.withRiver(ctx, ignore, func(client *riverClient, pool *pgxpool.Pool) error {
		worker, err := s.start(ctx, partRiver, pool.Config().ConnString(), s.Workers)
		if err != nil {
			return err
		}
		defer worker.kill()
		l, err = s.sample(ctx, worker, func(now int64) error {
			_, err := client.Insert(ctx, noop{now}, nil)
			return err
		})
		return err
	})
	return l, err
}

func (s *settings) dbosLatency(ctx context.Context) (l measure.Latencies, err error) {
	err = s.withDBOS(ctx, func(sys *dbos.System, url string) error {
		worker, err := s.start(ctx, partDBOS, url, s.Workers)
		if err != nil {
			return err
		}
		defer worker.kill()
		l, err = s.sample(ctx, worker, func(now int64) error {
			_, err := sys.StartNamed(ctx, "noop", strconv.AppendInt(nil, now, 10), dbos.OnQueueNamed(queueName))
			return err
		})
		return err
	})
	return l, err
}

// sample sends one job after the other and reads from the worker how late it
// began. The first ones, which find nothing prepared, do not count.
func (s *settings) sample(ctx context.Context, worker *part, send func(now int64) error) (l measure.Latencies, err error) {
	const unprepared = 20
	for i := range s.Samples + unprepared {
		select {
		case <-time.After(samplePause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if err := send(time.Now().UnixNano()); err != nil {
			return nil, err
		}
		line, err := worker.line()
		if err != nil {
			return nil, err
		}
		late, err := strconv.ParseInt(line, 10, 64)
		if err != nil {
			return nil, err
		}
		if i >= unprepared {
			l = append(l, time.Duration(late))
		}
	}
	if len(l) == 0 {
		return nil, errors.New("no samples")
	}
	return l, nil
}
