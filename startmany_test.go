package dbos_test

import (
	"errors"
	"testing"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
)

func TestStartMany(t *testing.T) {
	sys := open(t, t.TempDir())
	double := dbos.Workflow(sys, "double", func(ctx dbos.Context, n int) (int, error) { return 2 * n, nil })
	parent := dbos.Workflow(sys, "parent", func(ctx dbos.Context, _ int) (int, error) {
		_, err := double.StartMany(ctx, []int{1})
		return 0, err
	})
	queue, err := dbos.NewQueue(t.Context(), sys, "many")
	if err != nil {
		t.Fatal(err)
	}
	inputs := make([]int, 2500)
	for i := range inputs {
		inputs[i] = i
	}
	for _, opts := range [][]dbos.StartOption{nil, {dbos.OnQueue(queue), dbos.Priority(3)}} {
		runs, err := double.StartMany(t.Context(), inputs, opts...)
		if err != nil || len(runs) != len(inputs) {
			t.Fatalf("%d runs, %v", len(runs), err)
		}
		for i, run := range runs {
			if n, err := run.Result(t.Context()); err != nil || n != 2*i {
				t.Fatalf("run %d: %d, %v", i, n, err)
			}
		}
	}
	if runs, err := double.StartMany(t.Context(), nil); err != nil || len(runs) != 0 {
		t.Errorf("no inputs: %v, %v", runs, err)
	}
	if _, err := double.StartMany(t.Context(), inputs, dbos.ID("one")); !errors.Is(err, abi.Invalid) {
		t.Errorf("one ID for all: %v", err)
	}
	if _, err := double.StartMany(t.Context(), inputs, dbos.OnQueueNamed("nowhere")); !errors.Is(err, abi.NotFound) {
		t.Errorf("an unknown queue: %v", err)
	}
	if _, err := double.StartMany(t.Context(), make([]int, dbos.MaxStart+1)); !errors.Is(err, abi.Invalid) {
		t.Errorf("too many: %v", err)
	}
	run, err := parent.Start(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Result(t.Context()); !errors.Is(err, abi.Unsupported) {
		t.Errorf("in a workflow: %v", err)
	}
}
