package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dbos-go/dbos/bench/internal/measure"
)

// rawSchema is a task's row without any index but the key's: the least that a
// durable queue has to write.
const rawSchema = `CREATE TABLE task (id text PRIMARY KEY, name text NOT NULL, state text NOT NULL, input text NOT NULL, created_at bigint NOT NULL)`

const (
	rawOne  = `INSERT INTO task (id, name, state, input, created_at) VALUES ($1, 'noop', 'queued', '1', $2)`
	rawMany = `INSERT INTO task (id, name, state, input, created_at) SELECT id, 'noop', 'queued', '1', $2 FROM unnest($1::text[]) AS id`
)

// batch is how many jobs are inserted at once, where a side can.
const batch = 1000

// batchCallers is how many goroutines insert batches.
const batchCallers = 4

// rawInsert is what pgbench does: each caller inserts a row a transaction,
// by a prepared statement. There are as many callers as connections: more
// would only queue for them.
func (s *settings) rawInsert(ctx context.Context) (r measure.Result, err error) {
	err = s.withRaw(ctx, func(pool *pgxpool.Pool) error {
		next := numbers(s.Connections)
		r, err = s.drive(s.Connections, func(caller int) error {
			_, err := pool.Exec(ctx, rawOne, next(caller), time.Now().UnixMicro())
			return err
		})
		return err
	})
	return r, err
}

// rawInsertMany inserts rows by the thousand.
func (s *settings) rawInsertMany(ctx context.Context) (r measure.Result, err error) {
	err = s.withRaw(ctx, func(pool *pgxpool.Pool) error {
		next := numbers(batchCallers)
		r, err = s.drive(batchCallers, func(caller int) error {
			ids := make([]string, batch)
			for i := range ids {
				ids[i] = next(caller)
			}
			_, err := pool.Exec(ctx, rawMany, ids, time.Now().UnixMicro())
			return err
		})
		return err
	})
	return times(r, batch), err
}

// drive lets so many callers do an operation again and again. The processor
// time is the server's too.
func (s *settings) drive(callers int, op func(caller int) error) (measure.Result, error) {
	before := s.server.CPU()
	r, err := measure.Load{Callers: callers, Warmup: s.Warmup(), Duration: s.Duration}.Run(op)
	share := r.Elapsed.Seconds() / (s.Warmup() + r.Elapsed).Seconds() // the rest is not counted
	r.CPU += time.Duration(share * float64(s.server.CPU()-before))
	return r, err
}

// once measures a function that does n operations.
func (s *settings) once(n int, do func() error) (measure.Result, error) {
	before := s.server.CPU()
	r, err := measure.Once(n, do)
	r.CPU += s.server.CPU() - before
	if s.statements {
		fmt.Fprintln(os.Stderr, "processor time of the server's processes:", s.server.Roles())
	}
	return r, err
}

// times is a result whose operations did so many things each.
func times(r measure.Result, n int64) measure.Result {
	r.Operations *= n
	return r
}

// numbers returns IDs as long as DBOS's, which no two callers share, in the
// order of time.
func numbers(callers int) func(caller int) string {
	next := make([]int64, callers)
	began := time.Now().UnixNano()
	return func(caller int) string {
		next[caller]++
		return fmt.Sprintf("%016x-%04d-%014d", began, caller, next[caller])
	}
}

func (s *settings) withRaw(ctx context.Context, do func(*pgxpool.Pool) error) error {
	url, drop, err := s.newDatabase(ctx)
	if err != nil {
		return err
	}
	defer drop()
	pool, err := s.pool(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, rawSchema); err != nil {
		return err
	}
	return do(pool)
}
