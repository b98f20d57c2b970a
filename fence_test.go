package dbos_test

import (
	"context"
	"errors"
	"testing"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
)

// A step that does not heed its context goes on after its run was cancelled
// and resumed: a zombie beside the new execution. Nothing that it does counts.
func TestZombieWritesNothing(t *testing.T) {
	sys := open(t, t.TempDir())
	entered := make(chan int, 2)
	release := make(chan struct{})
	executions := make(chan int, 2)
	executions <- 1
	executions <- 2
	zombieGone := make(chan struct{})
	work := dbos.Workflow(sys, "work", func(ctx dbos.Context, _ int) (int, error) {
		me := <-executions
		if me == 1 {
			defer close(zombieGone)
		}
		got, err := dbos.Step(ctx, "deaf", func(context.Context) (int, error) {
			entered <- me
			if me == 1 {
				<-release // deaf to its context
			}
			return me, nil
		})
		if err != nil {
			return 0, err
		}
		return dbos.Transaction(ctx, "move", func(tx *dbos.Tx) (int, error) {
			return got, transfer(tx, "ada", "bob", 10)
		})
	})
	run, err := work.Start(t.Context(), 0, dbos.ID("z"))
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	if err := sys.Cancel(t.Context(), "z"); err != nil {
		t.Fatal(err)
	}
	if err := sys.Resume(t.Context(), "z"); err != nil {
		t.Fatal(err)
	}
	<-entered // the second execution is in the step
	// The handle may still find the zombie; ask the tables.
	if _, err := sys.Outcome(t.Context(), "z"); err != nil && !errors.Is(err, abi.Canceled) {
		t.Fatal(err)
	}
	close(release)
	<-zombieGone
	got, err := run.Result(t.Context())
	if err != nil || got != 2 || balance(t, sys, "bob") != 10 {
		t.Fatalf("Result = %d, %v; bob has %d", got, err, balance(t, sys, "bob"))
	}
	steps, err := sys.Journal(t.Context(), "z")
	if err != nil || len(steps) != 2 || string(steps[0].Output) != "2" {
		t.Fatalf("Journal = %+v, %v", steps, err)
	}
}
