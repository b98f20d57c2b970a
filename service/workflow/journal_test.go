package workflow_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/dbmstest"
	"github.com/dbos-go/dbos/service/sched"
	"github.com/dbos-go/dbos/service/workflow"
)

// onEngines runs a test on each engine, with a running task "run" of epoch 1.
func onEngines(t *testing.T, test func(t *testing.T, db dbms.DB, tasks *sched.Service, s *workflow.Service)) {
	dbmstest.OnEngines(t, func(t *testing.T, db dbms.DB) {
		tasks, err := sched.New(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		s, err := workflow.New(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		must(t, update(t, db, func(tx dbms.Tx) error {
			if err := tasks.Register(tx, "w", time.Hour); err != nil {
				return err
			}
			_, err := tasks.Submit(tx, &sched.Task{ID: "run", Name: "job", Codec: "json", Input: "1", Worker: new("w")})
			return err
		}))
		test(t, db, tasks, s)
	})
}

func TestQueries(t *testing.T) { dbmstest.PrepareSchema(t, workflow.Schema(), sched.Schema()) }

func update(t *testing.T, db dbms.DB, fn func(tx dbms.Tx) error) error {
	t.Helper()
	_, err := db.Update(t.Context(), abi.Call{Procedure: "test"}, fn)
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestJournalIsReadInOrder(t *testing.T) {
	onEngines(t, func(t *testing.T, db dbms.DB, _ *sched.Service, s *workflow.Service) {
		const n = 2001 // more than two batches
		started := time.UnixMicro(1_700_000_000_000_001).UTC()
		must(t, update(t, db, func(tx dbms.Tx) error {
			for seq := n; seq > 0; seq-- {
				step := &workflow.Step{
					Seq: seq, Kind: workflow.External, Name: fmt.Sprint("step ", seq), Digest: new("d"), Output: new("3"), Attempts: 2, StartedAt: started,
				}
				if seq%2 == 0 {
					step.Output, step.Error, step.Digest = nil, new("{}"), nil
				}
				if err := s.Record(tx, "run", 1, step); err != nil {
					return err
				}
			}
			return nil
		}))
		must(t, db.View(t.Context(), func(tx dbms.Tx) error {
			steps, err := s.Journal(tx, "run")
			if err != nil || len(steps) != n {
				return fmt.Errorf("%d steps, %w", len(steps), err)
			}
			for i, step := range steps {
				failed := step.Seq%2 == 0
				if step.Seq != i+1 || step.Name != fmt.Sprint("step ", i+1) || (step.Error != nil) != failed || (step.Output != nil) == failed ||
					step.Attempts != 2 || !step.StartedAt.Equal(started) || step.FinishedAt.IsZero() {
					return fmt.Errorf("step %d is %+v", i+1, step)
				}
			}
			return nil
		}))
	})
}

// recover declares the worker dead and lets another recover its tasks.
func recover(tx dbms.Tx, tasks *sched.Service) error {
	if _, err := tx.Exec(dbms.System("UPDATE sched_worker SET lease_until = 0")); err != nil {
		return err
	}
	if err := tasks.Register(tx, "other", time.Hour); err != nil {
		return err
	}
	_, err := tasks.Recover(tx, "other", 10)
	return err
}

// Each way of losing a lease must fence the journal.
func TestJournalIsFenced(t *testing.T) {
	lose := map[string]func(tx dbms.Tx, tasks *sched.Service) error{
		"finished": func(tx dbms.Tx, tasks *sched.Service) error {
			return tasks.Finish(tx, sched.Lease{ID: "run", Epoch: 1}, sched.Outcome{State: sched.Succeeded, Output: new("1")})
		},
		"cancelled": func(tx dbms.Tx, tasks *sched.Service) error { return tasks.Cancel(tx, "run", "{}") },
		"parked": func(tx dbms.Tx, tasks *sched.Service) error {
			return tasks.Park(tx, sched.Lease{ID: "run", Epoch: 1}, new(tx.Now()), "")
		},
		"recovered": recover,
		"claimed again": func(tx dbms.Tx, tasks *sched.Service) error {
			if err := recover(tx, tasks); err != nil {
				return err
			}
			_, err := tasks.Claim(tx, "other", []string{"job"}, 1)
			return err
		},
	}
	for how, lost := range lose {
		t.Run(how, func(t *testing.T) {
			onEngines(t, func(t *testing.T, db dbms.DB, tasks *sched.Service, s *workflow.Service) {
				record := func(seq int) error {
					return update(t, db, func(tx dbms.Tx) error {
						return s.Record(tx, "run", 1, &workflow.Step{Seq: seq, Kind: workflow.External, Name: "x", Output: new("1"), StartedAt: time.Now()})
					})
				}
				must(t, record(1))
				must(t, update(t, db, func(tx dbms.Tx) error { return lost(tx, tasks) }))
				if err := record(2); !errors.Is(err, abi.Fenced) {
					t.Fatalf("a step was recorded after the lease was lost: %v", err)
				}
				alone := s.RecordAlone(t.Context(), abi.Call{Procedure: "test"}, "run", 1,
					&workflow.Step{Seq: 2, Kind: workflow.External, Name: "x", Output: new("1"), StartedAt: time.Now()})
				if !errors.Is(alone, abi.Fenced) {
					t.Fatalf("a step was recorded alone after the lease was lost: %v", alone)
				}
			})
		})
	}
}

// A step is recorded once, whatever happens. Who records it again under the
// same lease learns what was recorded.
func TestStepIsRecordedOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, db dbms.DB, _ *sched.Service, s *workflow.Service) {
		step := func(output string) *workflow.Step {
			return &workflow.Step{Seq: 1, Kind: workflow.External, Name: "x", Output: &output, Attempts: 1, StartedAt: time.UnixMicro(5).UTC()}
		}
		together := func(output string) error {
			return update(t, db, func(tx dbms.Tx) error { return s.Record(tx, "run", 1, step(output)) })
		}
		alone := func(output string) error {
			return s.RecordAlone(t.Context(), abi.Call{Procedure: "test", Execution: "run", Step: 1}, "run", 1, step(output))
		}
		must(t, alone("1"))
		for _, record := range []func(string) error{together, alone} {
			err := record("2")
			again, ok := errors.AsType[*workflow.RecordedError](err)
			if !ok || again.Step.Seq != 1 || *again.Step.Output != "1" || again.Step.Kind != workflow.External {
				t.Fatalf("second record: %+v", err)
			}
		}
		must(t, db.View(t.Context(), func(tx dbms.Tx) error {
			steps, err := s.Journal(tx, "run")
			if err != nil || len(steps) != 1 || *steps[0].Output != "1" {
				return fmt.Errorf("journal %+v, %w", steps, err)
			}
			return nil
		}))
	})
}

func TestEventsKeepTheLastValue(t *testing.T) {
	onEngines(t, func(t *testing.T, db dbms.DB, _ *sched.Service, s *workflow.Service) {
		must(t, update(t, db, func(tx dbms.Tx) error {
			return errors.Join(s.Publish(tx, "run", "b", "1"), s.Publish(tx, "run", "a", "2"), s.Publish(tx, "run", "b", "3"))
		}))
		must(t, db.View(t.Context(), func(tx dbms.Tx) error {
			events, err := s.Events(tx, "run")
			if err != nil || len(events) != 2 || events[0].Key != "a" || events[1].Value != "3" {
				return fmt.Errorf("events %+v, %w", events, err)
			}
			none, err := s.Published(tx, "run", "c")
			if err != nil || none != nil {
				return fmt.Errorf("an event that was not set: %+v, %w", none, err)
			}
			return nil
		}))
	})
}

// While a step is being recorded nobody can take its task over: the fence
// holds until the commit, not only when it is looked at.
func TestFenceHoldsUntilTheCommit(t *testing.T) {
	onEngines(t, func(t *testing.T, db dbms.DB, tasks *sched.Service, s *workflow.Service) {
		if !tasks.Shared() {
			t.Skip("there is one writer at a time")
		}
		takeOver := func() (n int64) {
			must(t, tasks.Alone(t.Context(), abi.Call{Procedure: "test"}, func(tx dbms.Tx) error {
				if _, err := tx.Exec(dbms.System("UPDATE sched_worker SET lease_until = 0")); err != nil {
					return err
				}
				var err error
				n, err = tasks.Recover(tx, "other", 10)
				return err
			}))
			return n
		}
		held, release, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		go func() {
			_, err := db.Update(t.Context(), abi.Call{Procedure: "test"}, func(tx dbms.Tx) error {
				err := s.Record(tx, "run", 1, &workflow.Step{Seq: 1, Kind: workflow.External, Name: "x", Output: new("1"), StartedAt: time.Now()})
				close(held)
				<-release
				return err
			})
			ended <- err
		}()
		<-held
		if n := takeOver(); n != 0 {
			t.Errorf("%d tasks were taken over while their step was being recorded", n)
		}
		close(release)
		must(t, <-ended)
		if n := takeOver(); n != 1 {
			t.Errorf("%d tasks were taken over after that", n)
		}
	})
}
