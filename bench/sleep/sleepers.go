package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/bench/internal/measure"
	"github.com/dbos-go/dbos/dbms"
)

// starters start workflows side by side.
const starters = 64

// night is longer than any measurement.
const night = 24 * time.Hour

// node is an open directory with the workflow registered.
type node struct {
	*dbos.System
	dir      string
	workflow *dbos.Definition[time.Duration, time.Duration]
}

// open opens the directory. The workflow sleeps for its input and returns how
// late it woke.
func open(ctx context.Context, dir string) (*node, error) {
	sys, err := dbos.Open(ctx, dir, dbos.App("bench"), dbos.Durability(dbms.Async))
	if err != nil {
		return nil, err
	}
	n := &node{System: sys, dir: dir}
	n.workflow = dbos.Workflow(sys, "sleep", func(ctx dbos.Context, d time.Duration) (time.Duration, error) {
		began, err := dbos.Step(ctx, "began", func(context.Context) (time.Time, error) { return time.Now(), nil })
		if err != nil {
			return 0, err
		}
		if err := dbos.Sleep(ctx, d); err != nil {
			return 0, err
		}
		return time.Since(began) - d, nil
	})
	return n, sys.Launch(ctx)
}

// sleep puts the sleepers to sleep and wakes others meanwhile.
func (r *report) sleep(ctx context.Context, dir string) (err error) {
	n, err := open(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	if err := r.look(ctx, n, "nothing yet"); err != nil {
		return err
	}
	began := time.Now()
	if err := n.start(ctx, r.Settings.Sleepers); err != nil {
		return err
	}
	if err := n.waitAsleep(ctx, int64(r.Settings.Sleepers)); err != nil {
		return err
	}
	r.FellIn = time.Since(began)
	if err := r.look(ctx, n, "all asleep"); err != nil {
		return err
	}
	late, err := n.nap(ctx, r.Settings)
	r.Late50, r.Late99 = late.Quantile(0.5), late.Quantile(0.99)
	return err
}

// reopen opens the directory again, with the sleepers in it.
func (r *report) reopen(ctx context.Context, dir string) (err error) {
	began := time.Now()
	n, err := open(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	r.Reopen = time.Since(began)
	return r.look(ctx, n, "opened again")
}

// look records what the process holds now.
func (r *report) look(ctx context.Context, n *node, moment string) error {
	s := state{Moment: moment, Resident: measure.Resident(), Heap: measure.Heap(), Goroutines: runtime.NumGoroutine()}
	var err error
	if s.Disk, err = measure.DiskSize(n.dir); err != nil {
		return err
	}
	if s.Sleeping, err = n.count(ctx, `SELECT count(*) FROM sched_task WHERE state = 'waiting'`); err != nil {
		return err
	}
	s.Rows, err = n.count(ctx, `SELECT (SELECT count(*) FROM sched_task) + (SELECT count(*) FROM wf_step)`)
	r.States = append(r.States, s)
	fmt.Fprintf(os.Stderr, "%s: %s resident, %d goroutines, %d sleeping\n", moment, measure.Bytes(s.Resident), s.Goroutines, s.Sleeping)
	return err
}

func (n *node) count(ctx context.Context, sql string) (number int64, err error) {
	err = n.View(ctx, func(tx *dbos.Tx) error { return tx.QueryRow(sql).Scan(&number) })
	return number, err
}

// start starts workflows that sleep all night.
func (n *node) start(ctx context.Context, sleepers int) error {
	var group sync.WaitGroup
	failures := make([]error, starters)
	for i := range starters {
		group.Go(func() {
			for range share(sleepers, i) {
				if _, err := n.workflow.Start(ctx, night); err != nil {
					failures[i] = err
					return
				}
			}
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

// share is starter i's part of so many starts.
func share(all, i int) int { return (all + starters - 1 - i) / starters }

// waitAsleep waits until so many runs sleep.
func (n *node) waitAsleep(ctx context.Context, want int64) error {
	changed := n.Watch("runs")
	defer changed.Close()
	for {
		asleep, err := n.count(ctx, `SELECT count(*) FROM sched_task WHERE state = 'waiting'`)
		if err != nil || asleep >= want {
			return err
		}
		select {
		case <-changed.C():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// nap runs workflows that sleep shortly and returns how late each one woke.
func (n *node) nap(ctx context.Context, s settings) (measure.Latencies, error) {
	runs := make([]*dbos.Run[time.Duration], s.Woken)
	for i := range runs {
		run, err := n.workflow.Start(ctx, s.Nap)
		if err != nil {
			return nil, err
		}
		runs[i] = run
	}
	var late measure.Latencies
	for _, run := range runs {
		d, err := run.Result(ctx)
		if err != nil {
			return nil, err
		}
		late = append(late, d)
	}
	return late, nil
}
