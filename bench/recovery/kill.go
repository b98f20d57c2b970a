package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/dbos-go/dbos"
)

const ready = "ready"

// beKilled is the child: it starts runs, says so when all of them are inside
// their step, and stays there.
func beKilled(ctx context.Context, dir string, runs int, out io.Writer) error {
	sys, err := dbos.Open(ctx, dir, dbos.App("bench"), dbos.MaxRuns(runs))
	if err != nil {
		return err
	}
	var inside sync.WaitGroup
	inside.Add(runs)
	workflow := dbos.Workflow(sys, "order", order(func(ctx context.Context) (int, error) {
		inside.Done()
		<-ctx.Done()
		return 0, ctx.Err()
	}))
	for n := range runs {
		if _, err := workflow.Start(ctx, n); err != nil {
			return err
		}
	}
	inside.Wait()
	fmt.Fprintln(out, ready)
	select {} // until killed
}

// order is the workflow, of two steps: reserve is recorded before the kill,
// charge is where it happens.
func order(charge func(context.Context) (int, error)) func(dbos.Context, int) (int, error) {
	return func(ctx dbos.Context, n int) (int, error) {
		if _, err := dbos.Step(ctx, "reserve", func(context.Context) (int, error) { return n, nil }); err != nil {
			return 0, err
		}
		return dbos.Step(ctx, "charge", charge)
	}
}

// killChild runs this program as the child and kills it once its runs are
// inside their step.
func killChild(ctx context.Context, dir string, runs int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.CommandContext(ctx, self, "-child", dir, "-unfinished", strconv.Itoa(runs))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	line, readErr := bufio.NewReader(out).ReadString('\n')
	if err := child.Process.Kill(); err != nil {
		return err
	}
	waitErr := child.Wait() // it says "signal: killed"
	if line != ready+"\n" {
		return fmt.Errorf("the child said %q (%v) and ended with: %w", line, readErr, waitErr)
	}
	return nil
}

// recoverRuns opens the directory and lets the killed process's runs finish.
func recoverRuns(ctx context.Context, dir string, runs int) (r recovery, err error) {
	began := time.Now()
	sys, err := dbos.Open(ctx, dir, dbos.App("bench"))
	if err != nil {
		return r, err
	}
	defer sys.Close()
	r.Open = time.Since(began)

	var first sync.Once
	var finished sync.WaitGroup
	finished.Add(runs)
	dbos.Workflow(sys, "order", order(func(context.Context) (int, error) {
		first.Do(func() { r.First = time.Since(began) })
		finished.Done()
		return 0, nil
	}))
	if err := sys.Launch(ctx); err != nil {
		return r, err
	}
	finished.Wait()
	if err := waitForNone(ctx, sys); err != nil {
		return r, err
	}
	r.All = time.Since(began)
	return r, nil
}

// waitForNone waits until no run is unfinished.
func waitForNone(ctx context.Context, sys *dbos.System) error {
	changed := sys.Watch("runs")
	defer changed.Close()
	for {
		live, err := sys.Runs(ctx, dbos.Filter{Live: true, Limit: 1})
		if err != nil || len(live) == 0 {
			return err
		}
		select {
		case <-changed.C():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
