package dbos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/sched"
	"github.com/dbos-go/dbos/service/workflow"
)

// linger is how long a run waits in memory before it is parked: its goroutine
// ends, and it runs again, through its journal, when the wait is over.
const linger = time.Second

// Sleep waits for d, durably: a run that sleeps for a month survives every
// restart in it, and wakes at the time that was set when it fell asleep. It
// returns nil; a run that is cancelled or closed does not return from it.
func Sleep(ctx Context, d time.Duration) error {
	e := ctx.execution()
	step, recorded := e.next(workflow.Sleep, "sleep", nil)
	if e.again != nil {
		return nil // it has been slept
	}
	if !recorded {
		if err := e.fallAsleep(step, d); err != nil {
			return err
		}
		e.sleep(d)
		return nil
	}
	var wake time.Time
	if err := replay(e, step, &wake); err != nil {
		return err
	}
	rest, err := e.until(wake)
	if err != nil {
		return err
	}
	if rest > linger {
		return e.park(&wake, "", never)
	}
	e.sleep(rest)
	return nil
}

// until returns how long it is to a time, by the database's clock.
func (e *execution) until(t time.Time) (rest time.Duration, err error) {
	err = e.persist(func() error {
		return e.sys.db.View(e.ctx, func(tx dbms.Tx) error {
			rest = t.Sub(tx.Now())
			return nil
		})
	})
	return rest, err
}

// fallAsleep records the time of waking. A long sleeper it also parks, in the
// same transaction; then it does not return.
func (e *execution) fallAsleep(step *workflow.Step, d time.Duration) error {
	err := e.recorded(step, func() error {
		return e.sys.tasks.Alone(e.ctx, e.call(e.procedure(step), step.Seq), func(tx dbms.Tx) error {
			wake := tx.Now().Add(d)
			output, err := encode(e.codec, "time", wake)
			if err != nil {
				return err
			}
			step.Output = &output
			if err := e.record(tx, step); err != nil || d <= linger {
				return err
			}
			return e.sys.tasks.Park(tx, e.lease(), &wake, "")
		})
	})
	if err == nil && d > linger {
		e.sys.heart.fallsDue(d)
		e.leave()
	}
	return err
}

// never is a wait that only its time ends.
func never(dbms.Tx) (bool, error) { return false, nil }

// errOver rolls a transaction back that would park a run whose wait is over.
var errOver = errors.New("the wait is over")

// park ends the execution until a time or until there is news of another run,
// unless ready finds that the wait is over. It returns only in that case.
func (e *execution) park(until *time.Time, on string, ready func(tx dbms.Tx) (bool, error)) error {
	var rest time.Duration
	err := e.persist(func() error {
		return e.sys.tasks.Alone(e.ctx, e.call("sched.park", e.seq), func(tx dbms.Tx) error {
			if on != "" {
				if err := e.sys.tasks.Await(tx, on); err != nil {
					return err
				}
			}
			over, err := ready(tx)
			if err != nil {
				return err
			}
			if over {
				return errOver
			}
			if until != nil {
				rest = until.Sub(tx.Now())
			}
			return e.sys.tasks.Park(tx, e.lease(), until, on)
		})
	})
	if errors.Is(err, errOver) {
		return nil
	}
	if err == nil {
		if until != nil {
			e.sys.heart.fallsDue(rest)
		}
		e.leave()
	}
	return err
}

// await waits for news of a run: a while in memory, by wait, and then parked,
// until ready says that the wait is over.
func (e *execution) await(on string, wait func(context.Context) error, ready func(tx dbms.Tx) (bool, error)) error {
	ctx, cancel := context.WithTimeout(e.ctx, linger)
	defer cancel()
	err := wait(ctx)
	switch {
	case err == nil:
		return nil
	case e.ctx.Err() != nil:
		e.leave()
	case ctx.Err() != nil:
		return e.park(nil, on, ready)
	}
	return err
}

// await waits for news of a run until ready says that the wait is over.
func (s *System) await(ctx context.Context, on string, ready func(tx dbms.Tx) (bool, error)) error {
	w := s.db.Watch(sched.NewsOf(on))
	defer w.Close()
	return s.awaitNews(ctx, w, on, func() (bool, error) { return false, nil }, ready)
}

// awaitNews waits until here, which does not ask the database, or ready says
// that the wait is over.
func (s *System) awaitNews(ctx context.Context, w dbms.Watcher, on string, here func() (bool, error), ready func(tx dbms.Tx) (bool, error)) error {
	for {
		over, err := here()
		if err != nil || over {
			return err
		}
		err = s.db.View(ctx, func(tx dbms.Tx) error {
			var err error
			over, err = ready(tx)
			return err
		})
		if err != nil || over {
			return err
		}
		select {
		case <-w.C():
		case <-ctx.Done():
			return abi.Errorf("dbos.wait", abi.KindOf(ctx.Err()), "run "+on, "%w", context.Cause(ctx))
		case <-s.ctx.Done():
			return errClosing
		}
	}
}

// SetEvent publishes a value under a key of the run, for GetEvent. Setting it
// again replaces the value.
func SetEvent(ctx Context, key string, value any) error {
	e := ctx.execution()
	text, err := encode(e.codec, "event "+key, value)
	if err != nil {
		return err
	}
	step, recorded := e.next(workflow.Event, key, digest(text))
	if recorded {
		return nil
	}
	return e.commitOwn(step, func(tx dbms.Tx) error {
		awaited, err := e.sys.tasks.Awaited(tx, e.task.ID)
		if err != nil {
			return err
		}
		if err := e.sys.journal.Publish(tx, e.task.ID, key, text); err != nil {
			return err
		}
		return e.sys.tasks.News(tx, e.task.ID, awaited)
	})
}

// GetEvent returns the value that a run has published under a key, and waits
// for it until ctx ends. If the run finishes without it, or does not exist,
// the error is of kind abi.NotFound. With a workflow's Context it is a step.
func GetEvent[T any](ctx context.Context, s *System, runID, key string) (T, error) {
	var value T
	for _, check := range []error{abi.CheckName("dbos.getevent", "run", runID), abi.CheckName("dbos.getevent", "event", key)} {
		if check != nil {
			return value, check
		}
	}
	q := &eventQuery{sys: s, run: runID, key: key}
	e := executionOf(ctx)
	if e == nil {
		if err := s.await(ctx, runID, q.ready); err != nil {
			return value, err
		}
		return value, decode(q.codec, "event "+key, q.value, &value)
	}
	step, recorded := e.next(workflow.Get, key, digest(runID))
	if recorded {
		return value, replay(e, step, &value)
	}
	err := e.await(runID, func(ctx context.Context) error { return s.await(ctx, runID, q.ready) }, q.ready)
	if err == nil {
		err = decode(q.codec, "event "+key, q.value, &value)
	}
	rec := s.recorder()
	rec.read("wf_event", runID, key)
	return outcome(e, step, value, err, rec)
}

// An eventQuery looks for an event of a run.
type eventQuery struct {
	sys      *System
	run, key string
	codec    Codec
	value    string
}

func (q *eventQuery) ready(tx dbms.Tx) (bool, error) {
	t, err := q.sys.tasks.Get(tx, q.run)
	if err != nil {
		return false, err
	}
	if q.codec, err = q.sys.codecOf(t); err != nil {
		return false, err
	}
	v, err := q.sys.journal.Published(tx, q.run, q.key)
	if err != nil {
		return false, err
	}
	if v != nil {
		q.value = v.Value
		return true, nil
	}
	if t.State.Final() {
		return false, abi.Errorf("dbos.getevent", abi.NotFound, fmt.Sprintf("event %q of run %s", q.key, q.run), "the run has %s without it", t.State)
	}
	return false, nil
}
