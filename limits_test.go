package dbos_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
)

// Every limit at its edge: the largest that is taken, and one more.
func TestLimits(t *testing.T) {
	sys := open(t, t.TempDir())
	echo := dbos.Workflow(sys, "echo", func(ctx dbos.Context, s string) (string, error) { return s, nil })
	publish := dbos.Workflow(sys, "publish", func(ctx dbos.Context, n int) (int, error) {
		return n, dbos.SetEvent(ctx, "e", strings.Repeat("x", n))
	})
	produce := dbos.Workflow(sys, "produce", func(ctx dbos.Context, n int) (string, error) {
		return dbos.Step(ctx, "make", func(context.Context) (string, error) { return strings.Repeat("x", n), nil })
	})
	name := dbos.Workflow(sys, "name", func(ctx dbos.Context, name string) (int, error) {
		return dbos.Step(ctx, name, func(context.Context) (int, error) { return 1, nil })
	})
	const quotes = 2 // of the JSON string
	result := func(run interface{ ID() string }, err error) error {
		if err == nil {
			_, err = sys.Outcome(t.Context(), run.ID())
		}
		return err
	}
	for what, c := range map[string]struct {
		at   int
		kind abi.Kind
		try  func(n int) error
	}{
		"input":     {dbos.MaxPayload - quotes, abi.Exhausted, func(n int) error { return result(echo.Start(t.Context(), strings.Repeat("x", n))) }},
		"event":     {dbos.MaxPayload - quotes, abi.Exhausted, func(n int) error { return result(publish.Start(t.Context(), n)) }},
		"output":    {dbos.MaxPayload - quotes, abi.Exhausted, func(n int) error { return result(produce.Start(t.Context(), n)) }},
		"step name": {abi.MaxName, abi.Invalid, func(n int) error { return result(name.Start(t.Context(), strings.Repeat("x", n))) }},
		"run ID": {abi.MaxName, abi.Invalid, func(n int) error {
			return result(echo.Start(t.Context(), "x", dbos.ID(strings.Repeat("i", n))))
		}},
		"queue name": {abi.MaxName, abi.Invalid, func(n int) error {
			_, err := dbos.NewQueue(t.Context(), sys, strings.Repeat("q", n))
			return err
		}},
	} {
		if err := c.try(c.at); err != nil {
			t.Errorf("%s of %d bytes: %v", what, c.at, err)
		}
		if err := c.try(c.at + 1); !errors.Is(err, c.kind) {
			t.Errorf("%s of %d bytes: %v, want %v", what, c.at+1, err, c.kind)
		}
	}
}

// Bad input is refused with an error of a kind that names the argument, and
// changes nothing.
func TestBadInput(t *testing.T) {
	sys := open(t, t.TempDir())
	echo := dbos.Workflow(sys, "echo", func(ctx dbos.Context, s any) (any, error) { return s, nil })
	ctx := t.Context()
	second := func(_ any, err error) error { return err }
	for what, c := range map[string]struct {
		err   error
		kind  abi.Kind
		names string
	}{
		"input that is no JSON":    {second(echo.Start(ctx, func() {})), abi.Invalid, "input of workflow echo"},
		"run ID with a line break": {second(echo.Start(ctx, 1, dbos.ID("a\nb"))), abi.Invalid, "run name"},
		"run ID that is not UTF-8": {second(echo.Start(ctx, 1, dbos.ID("a\xff"))), abi.Invalid, "run name"},
		"raw input":                {second(sys.StartNamed(ctx, "echo", []byte("{"))), abi.Invalid, "input"},
		"no workflow name":         {second(sys.StartNamed(ctx, "", []byte("1"))), abi.Invalid, "workflow name"},
		"no such run":              {second(sys.Lookup(ctx, "none")), abi.NotFound, "run none"},
		"no such run's journal":    {second(sys.Journal(ctx, "none")), abi.NotFound, "run none"},
		"no such run's result":     {second(dbos.Find[int](sys, "none").Result(ctx)), abi.NotFound, "run none"},
		"event of no run":          {second(dbos.GetEvent[int](ctx, sys, "none", "e")), abi.NotFound, "run none"},
		"event without a key":      {second(dbos.GetEvent[int](ctx, sys, "none", "")), abi.Invalid, "event name"},
		"resume of no run":         {sys.Resume(ctx, "none"), abi.NotFound, "run none"},
		"negative concurrency":     {second(dbos.NewQueue(ctx, sys, "q", dbos.Concurrency(-1))), abi.Invalid, "concurrency of queue q"},
		"too long a list":          {second(sys.Runs(ctx, dbos.Filter{Limit: 10_001})), abi.Invalid, "limit"},
		"empty URL":                {second(dbos.Open(ctx, "")), abi.Invalid, "URL"},
		"unknown engine":           {second(dbos.Open(ctx, "mysql://host/db")), abi.Unsupported, "mysql"},
		"no runs at all":           {second(dbos.Open(ctx, t.TempDir(), dbos.MaxRuns(0))), abi.Invalid, "MaxRuns"},
		"application without name": {second(dbos.Open(ctx, t.TempDir(), dbos.App(""))), abi.Invalid, "application"},
		"misnamed migration": {second(dbos.Open(ctx, t.TempDir(), dbos.Migrations(fstest.MapFS{
			"first.sql": {Data: []byte("SELECT 1")},
		}))), abi.Invalid, "first.sql"},
		"directory that is owned": {second(dbos.Open(ctx, mustStatus(t, sys).Location)), abi.Owned, "process"},
	} {
		if !errors.Is(c.err, c.kind) || c.err == nil || !strings.Contains(c.err.Error(), c.names) {
			t.Errorf("%s: %v; want %v naming %q", what, c.err, c.kind, c.names)
		}
	}
	runs, err := sys.Runs(ctx, dbos.Filter{})
	if err != nil || len(runs) != 0 {
		t.Errorf("refused calls left runs: %+v, %v", runs, err)
	}
}

func mustStatus(t *testing.T, sys *dbos.System) dbos.Status {
	t.Helper()
	st, err := sys.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// After Close every call says so.
func TestClosed(t *testing.T) {
	sys := open(t, t.TempDir())
	echo := dbos.Workflow(sys, "echo", func(ctx dbos.Context, n int) (int, error) { return n, nil })
	for range 2 {
		if err := sys.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, startErr := echo.Start(t.Context(), 1)
	_, runsErr := sys.Runs(t.Context(), dbos.Filter{})
	for what, err := range map[string]error{
		"Start": startErr, "Runs": runsErr, "Launch": sys.Launch(t.Context()),
		"Update": sys.Update(t.Context(), "x", func(*dbos.Tx) error { return nil }),
		"View":   sys.View(t.Context(), func(*dbos.Tx) error { return nil }),
	} {
		if !errors.Is(err, abi.Closed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Setting the host's clock back does not keep a sleeping run asleep.
func TestSleepSurvivesAClockSetBack(t *testing.T) {
	var back atomic.Int64
	sys := open(t, t.TempDir(), dbos.Clock(func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }))
	nap := dbos.Workflow(sys, "nap", func(ctx dbos.Context, d time.Duration) (int, error) { return 1, dbos.Sleep(ctx, d) })
	var runs []*dbos.Run[int]
	for _, d := range []time.Duration{50 * time.Millisecond, 1100 * time.Millisecond} {
		run, err := nap.Start(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, run)
	}
	back.Store(int64(time.Hour))
	for _, run := range runs {
		if _, err := run.Result(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
