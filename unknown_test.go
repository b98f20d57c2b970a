package dbos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// A doubtful engine often says that it does not know whether it has committed:
// sometimes it has, sometimes not. No engine does that so often.
type doubtful struct {
	dbms.Gatherer
	doubts atomic.Int64
}

// doubt returns an error before or after the commit, or neither.
func (d *doubtful) doubt(call abi.Call) (before, after error) {
	switch call.Procedure {
	case "sched.register", "sched.retire", "sched.queue":
		return nil, nil
	}
	err := abi.Errorf("dbms.update", abi.Unknown, "commit", "made up")
	switch rand.N(6) {
	case 0:
		d.doubts.Add(1)
		return err, nil
	case 1:
		d.doubts.Add(1)
		return nil, err
	}
	return nil, nil
}

func (d *doubtful) Gather(ctx context.Context, call abi.Call, q *dbms.Query, args ...any) ([][]dbms.Value, error) {
	before, after := d.doubt(call)
	if before != nil {
		return nil, before
	}
	rows, err := d.Gatherer.Gather(ctx, call, q, args...)
	if err == nil && after != nil {
		return nil, after
	}
	return rows, err
}

func (d *doubtful) update(call abi.Call, update func() (dbms.LSN, error)) (dbms.LSN, error) {
	before, after := d.doubt(call)
	if before != nil {
		return 0, before
	}
	lsn, err := update()
	if err == nil && after != nil {
		return 0, after
	}
	return lsn, err
}

func (d *doubtful) Update(ctx context.Context, call abi.Call, fn func(dbms.Tx) error) (dbms.LSN, error) {
	return d.update(call, func() (dbms.LSN, error) { return d.Gatherer.Update(ctx, call, fn) })
}

func (d *doubtful) UpdateReadCommitted(ctx context.Context, call abi.Call, fn func(dbms.Tx) error) (dbms.LSN, error) {
	return d.update(call, func() (dbms.LSN, error) { return d.Gatherer.UpdateReadCommitted(ctx, call, fn) })
}

// Whatever is repeated because its outcome was not known happens once.
func TestUnknownOutcomes(t *testing.T) {
	url := pgtest.Need(t).URL(pgtest.Schema(t))
	db, err := postgres.Open(t.Context(), url, dbms.Options{Durability: dbms.Async})
	if err != nil {
		t.Fatal(err)
	}
	engine := &doubtful{Gatherer: db}
	o := defaults()
	o.lease = MinLease // strays are looked for at every heartbeat
	o.migrations = fstest.MapFS{"0001_effect.sql": {Data: []byte("CREATE TABLE effect (run TEXT NOT NULL, step TEXT NOT NULL)")}}
	sys, err := newSystem(t.Context(), engine, o)
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	queue, err := NewQueue(t.Context(), sys, "q", Concurrency(3))
	if err != nil {
		t.Fatal(err)
	}
	job := defineDoubtful(sys)
	const runs = 40
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var callers sync.WaitGroup
	for i := range runs {
		callers.Go(func() {
			options := []StartOption{ID(fmt.Sprint("run", i))}
			if i%2 == 0 {
				options = append(options, OnQueue(queue))
			}
			run, err := job.Start(ctx, i, options...)
			var got int
			if err == nil {
				got, err = run.Result(ctx)
			}
			if err != nil || got != i+1 {
				t.Errorf("run %d: %d, %v", i, got, err)
			}
		})
	}
	callers.Wait()
	if live, err := sys.Runs(t.Context(), Filter{Live: true}); err != nil || len(live) > 0 {
		t.Errorf("still unfinished: %+v, %v", live, err)
	}
	err = sys.View(t.Context(), func(tx *Tx) error {
		var effects, distinct int
		err := tx.QueryRow("SELECT count(*), count(DISTINCT run || step) FROM effect").Scan(&effects, &distinct)
		if err == nil && (effects != 3*runs || distinct != effects) {
			err = fmt.Errorf("%d effects, %d of them different; want %d", effects, distinct, 3*runs)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if engine.doubts.Load() < runs {
		t.Errorf("only %d doubts; the test has shown nothing", engine.doubts.Load())
	}
}

// defineDoubtful registers a workflow with every kind of step.
func defineDoubtful(sys *System) *Definition[int, int] {
	effect := func(ctx Context, step string) error {
		_, err := Transaction(ctx, step, func(tx *Tx) (int64, error) {
			return tx.Exec("INSERT INTO effect VALUES ($1, $2)", ctx.RunID(), step)
		})
		return err
	}
	child := Workflow(sys, "child", func(ctx Context, n int) (int, error) { return n + 1, effect(ctx, "child") })
	return Workflow(sys, "job", func(ctx Context, n int) (int, error) {
		if err := effect(ctx, "first"); err != nil {
			return 0, err
		}
		_, err := Step(ctx, "external", func(context.Context) (int, error) { return 0, errors.New("refused") })
		if err == nil || !strings.Contains(err.Error(), "refused") {
			return 0, fmt.Errorf("the step's error became %v", err)
		}
		if err := Sleep(ctx, time.Duration(n%2)*1100*time.Millisecond); err != nil {
			return 0, err
		}
		run, err := child.Start(ctx, n)
		if err != nil {
			return 0, err
		}
		if err := SetEvent(ctx, "key", n); err != nil {
			return 0, err
		}
		got, err := run.Result(ctx)
		if err != nil {
			return 0, err
		}
		return got, effect(ctx, "last")
	})
}
