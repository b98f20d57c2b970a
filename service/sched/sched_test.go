package sched_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/dbmstest"
	"github.com/dbos-go/dbos/service/sched"
)

// onEngines runs a test on each engine.
func onEngines(t *testing.T, test func(t *testing.T, db dbms.DB, s *sched.Service)) {
	dbmstest.OnEngines(t, func(t *testing.T, db dbms.DB) {
		s, err := sched.New(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		test(t, db, s)
	})
}

func TestQueries(t *testing.T) { dbmstest.PrepareSchema(t, sched.Schema()) }

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func update(t fataler, db dbms.DB, fn func(tx dbms.Tx) error) {
	t.Helper()
	if _, err := db.Update(context.Background(), abi.Call{Procedure: "test"}, fn); err != nil {
		t.Fatalf("%v", err)
	}
}

// A taskModel is what a plain program would remember of a task.
type taskModel struct {
	seq, priority, epoch, recoveries int
	queue                            string
	state                            sched.State
	worker, waitOn                   string
	wakeAt                           *time.Time
	parent                           string
}

// machine drives the scheduler and the model side by side.
type machine struct {
	db    dbms.DB
	s     *sched.Service
	tasks map[string]*taskModel
	ids   []string
	limit map[string]int // queue: concurrency
	now   time.Time      // of the last transaction
}

func (m *machine) update(t *rapid.T, fn func(tx dbms.Tx) error) {
	update(t, m.db, func(tx dbms.Tx) error {
		m.now = tx.Now()
		return fn(tx)
	})
}

func (m *machine) pick(t *rapid.T) string {
	if len(m.ids) == 0 {
		t.Skip("no task yet")
	}
	return rapid.SampledFrom(m.ids).Draw(t, "task")
}

func (m *machine) Submit(t *rapid.T) {
	task := &sched.Task{
		ID: fmt.Sprint("t", len(m.ids)), Name: "job", Codec: "json", Input: "1",
		Queue: rapid.SampledFrom([]string{"", "one", "two"}).Draw(t, "queue"), Priority: rapid.IntRange(0, 2).Draw(t, "priority"),
	}
	model := &taskModel{seq: len(m.ids), priority: task.Priority, queue: task.Queue, state: sched.Queued}
	if len(m.ids) > 0 && rapid.Bool().Draw(t, "child") {
		model.parent = m.pick(t)
		task.Parent = &model.parent
	}
	if task.Queue == "" && rapid.Bool().Draw(t, "direct") {
		task.Worker = new("w0")
		model.state, model.worker, model.epoch = sched.Running, "w0", 1
	}
	m.update(t, func(tx dbms.Tx) error {
		added, err := m.s.Submit(tx, task)
		if err == nil && !added {
			err = errors.New("not added")
		}
		return err
	})
	m.tasks[task.ID] = model
	m.ids = append(m.ids, task.ID)
}

func (m *machine) Claim(t *rapid.T) {
	worker := rapid.SampledFrom([]string{"w0", "w1"}).Draw(t, "worker")
	limit := rapid.IntRange(1, 5).Draw(t, "limit")
	var got []sched.Task
	m.update(t, func(tx dbms.Tx) (err error) {
		got, err = m.s.Claim(tx, worker, []string{"job"}, limit)
		return err
	})
	want := m.claim(worker, limit)
	if len(got) != len(want) {
		t.Fatalf("claimed %d, want %v", len(got), want)
	}
	for i, task := range got {
		if task.ID != want[i] || task.Epoch != m.tasks[task.ID].epoch {
			t.Fatalf("claim %d is %s of epoch %d, want %s of %d", i, task.ID, task.Epoch, want[i], m.tasks[want[i]].epoch)
		}
	}
}

// claim is the model's Claim.
func (m *machine) claim(worker string, limit int) (ids []string) {
	for _, queue := range []string{"", "one", "two"} {
		running := 0
		var queued []string
		for _, id := range m.ids {
			switch task := m.tasks[id]; {
			case task.queue != queue:
			case task.state == sched.Running:
				running++
			case task.state == sched.Queued:
				queued = append(queued, id)
			}
		}
		slices.SortStableFunc(queued, func(a, b string) int {
			return cmp.Or(cmp.Compare(m.tasks[b].priority, m.tasks[a].priority), cmp.Compare(m.tasks[a].seq, m.tasks[b].seq))
		})
		for _, id := range queued {
			if len(ids) == limit || m.limit[queue] > 0 && running == m.limit[queue] {
				break
			}
			running++
			task := m.tasks[id]
			task.state, task.worker = sched.Running, worker
			task.epoch++
			ids = append(ids, id)
		}
	}
	return ids
}

// lease draws a lease of a task, often a lost one.
func (m *machine) lease(t *rapid.T) (sched.Lease, *taskModel, bool) {
	id := m.pick(t)
	task := m.tasks[id]
	epoch := max(0, task.epoch-rapid.IntRange(0, 1).Draw(t, "epochs behind"))
	return sched.Lease{ID: id, Epoch: epoch}, task, task.state == sched.Running && epoch == task.epoch
}

// fenced checks that a write under a lease fails if and only if it is lost.
func (m *machine) fenced(t *rapid.T, held bool, fn func(tx dbms.Tx) error) {
	_, err := m.db.Update(context.Background(), abi.Call{Procedure: "test"}, func(tx dbms.Tx) error {
		m.now = tx.Now()
		return fn(tx)
	})
	if held && err != nil || !held && !errors.Is(err, abi.Fenced) {
		t.Fatalf("lease held: %v; error: %v", held, err)
	}
}

func (m *machine) Finish(t *rapid.T) {
	lease, task, held := m.lease(t)
	m.fenced(t, held, func(tx dbms.Tx) error {
		return m.s.Finish(tx, lease, sched.Outcome{State: sched.Succeeded, Output: new("2")})
	})
	if held {
		task.state, task.worker = sched.Succeeded, ""
		m.news(lease.ID)
	}
}

// news wakes who waits on a task.
func (m *machine) news(id string) {
	for _, task := range m.tasks {
		if task.state == sched.Waiting && task.waitOn == id {
			task.state, task.waitOn, task.wakeAt = sched.Queued, "", nil
		}
	}
}

func (m *machine) Park(t *rapid.T) {
	lease, task, held := m.lease(t)
	var until *time.Time
	var on string
	if rapid.Bool().Draw(t, "for a time") {
		until = new(m.now.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "hours")) * time.Hour))
	} else {
		on = m.pick(t)
	}
	m.fenced(t, held, func(tx dbms.Tx) error {
		if on != "" {
			if err := m.s.Await(tx, on); err != nil {
				return err
			}
		}
		return m.s.Park(tx, lease, until, on)
	})
	if held {
		task.state, task.worker, task.wakeAt, task.waitOn = sched.Waiting, "", until, on
	}
}

func (m *machine) Due(t *rapid.T) {
	var n int64
	m.update(t, func(tx dbms.Tx) (err error) {
		n, err = m.s.Due(tx, 1000)
		return err
	})
	for _, task := range m.tasks {
		if task.state == sched.Waiting && task.wakeAt != nil && !task.wakeAt.After(m.now) {
			task.state, task.wakeAt, task.waitOn = sched.Queued, nil, ""
			n--
		}
	}
	if n != 0 {
		t.Fatalf("Due is off by %d", n)
	}
}

func (m *machine) Cancel(t *rapid.T) {
	id := m.pick(t)
	state := m.tasks[id].state
	_, err := m.db.Update(context.Background(), abi.Call{Procedure: "test"}, func(tx dbms.Tx) error { return m.s.Cancel(tx, id, "{}") })
	if refused := state == sched.Succeeded || state == sched.Failed; refused != errors.Is(err, abi.Conflict) || !refused && err != nil {
		t.Fatalf("Cancel of a task that is %s: %v", state, err)
	}
	if err == nil {
		m.cancel(id)
	}
}

func (m *machine) cancel(id string) {
	if task := m.tasks[id]; !task.state.Final() {
		task.state, task.worker, task.wakeAt, task.waitOn = sched.Canceled, "", nil, ""
		defer m.news(id)
	}
	for _, child := range m.ids {
		if m.tasks[child].parent == id {
			m.cancel(child)
		}
	}
}

func (m *machine) Resume(t *rapid.T) {
	id := m.pick(t)
	task := m.tasks[id]
	if task.state == sched.Succeeded {
		t.Skip("finished")
	}
	m.update(t, func(tx dbms.Tx) error {
		row, err := m.s.Get(tx, id)
		if err != nil {
			return err
		}
		return m.s.Resume(tx, row)
	})
	if task.state.Final() {
		task.state, task.recoveries = sched.Queued, 0
	}
}

func (m *machine) Recover(t *rapid.T) {
	worker := rapid.SampledFrom([]string{"w0", "w1"}).Draw(t, "the living worker")
	m.update(t, func(tx dbms.Tx) error {
		if err := bury(tx, m.s, worker); err != nil {
			return err
		}
		_, err := m.s.Recover(tx, worker, 1000)
		if err != nil {
			return err
		}
		return m.s.Condemn(tx, 3, "{}")
	})
	m.bury(t, worker)
	for id, task := range m.tasks {
		if task.state == sched.Running && task.worker != worker {
			task.state, task.worker = sched.Queued, ""
			task.recoveries++
		}
		if task.state == sched.Queued && task.recoveries > 3 {
			task.state = sched.Failed
			defer m.news(id)
		}
	}
}

// bury declares all workers but one dead, where that must be said.
func bury(tx dbms.Tx, s *sched.Service, living string) error {
	if !s.Shared() {
		return nil
	}
	_, err := tx.Exec(dbms.System("UPDATE sched_worker SET lease_until = 0 WHERE id <> $1"), living)
	return err
}

// bury makes the dead workers' names usable again.
func (m *machine) bury(t *rapid.T, living string) {
	if !m.s.Shared() {
		return
	}
	m.update(t, func(tx dbms.Tx) error {
		for _, worker := range []string{"w0", "w1"} {
			if worker == living {
				continue
			}
			if err := m.s.Retire(tx, worker); err != nil {
				return err
			}
			if err := m.s.Register(tx, worker, time.Hour); err != nil {
				return err
			}
		}
		return nil
	})
}

// Check compares the whole table with the model.
func (m *machine) Check(t *rapid.T) {
	err := m.db.View(context.Background(), func(tx dbms.Tx) error {
		live := 0
		for id, want := range m.tasks {
			got, err := m.s.Get(tx, id)
			if err != nil {
				return err
			}
			worker, waitOn := "", ""
			if got.Worker != nil {
				worker = *got.Worker
			}
			if got.WaitOn != nil {
				waitOn = *got.WaitOn
			}
			if got.State != want.state || got.Epoch != want.epoch || worker != want.worker || waitOn != want.waitOn || got.Recoveries != want.recoveries {
				return fmt.Errorf("task %s is %+v, want %+v", id, got, want)
			}
			if !want.state.Final() {
				live++
			}
		}
		list, err := m.s.List(tx, sched.Filter{Live: true, Limit: sched.MaxList})
		if err == nil && len(list) != live {
			err = fmt.Errorf("%d live tasks listed, want %d", len(list), live)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSchedulerFollowsTheModel(t *testing.T) {
	onEngines(t, func(t *testing.T, db dbms.DB, s *sched.Service) {
		rapid.Check(t, func(rt *rapid.T) { followModel(rt, db, s) })
	})
}

// followModel is one run of the machine, on empty tables.
func followModel(rt *rapid.T, db dbms.DB, s *sched.Service) {
	update(rt, db, func(tx dbms.Tx) error {
		for _, table := range []string{"sched_task", "sched_queue", "sched_worker"} {
			if _, err := tx.Exec(dbms.System("DELETE FROM " + table)); err != nil {
				return err
			}
		}
		return nil
	})
	m := &machine{db: db, s: s, tasks: map[string]*taskModel{}, limit: map[string]int{"one": 2}, now: time.Now()}
	update(rt, db, func(tx dbms.Tx) error {
		for _, worker := range []string{"w0", "w1"} {
			if err := s.Register(tx, worker, time.Hour); err != nil {
				return err
			}
		}
		return errors.Join(s.PutQueue(tx, "one", 2, 0), s.PutQueue(tx, "two", 0, 0))
	})
	rt.Repeat(map[string]func(*rapid.T){
		"Submit": m.Submit, "Claim": m.Claim, "Finish": m.Finish, "Park": m.Park, "Due": m.Due,
		"Cancel": m.Cancel, "Resume": m.Resume, "Recover": m.Recover, "": m.Check,
	})
}

func TestSubmitTwice(t *testing.T) {
	onEngines(t, func(t *testing.T, db dbms.DB, s *sched.Service) {
		for i, want := range []bool{true, false} {
			update(t, db, func(tx dbms.Tx) error {
				added, err := s.Submit(tx, &sched.Task{ID: "a", Name: "job", Codec: "json", Input: "1"})
				if err == nil && added != want {
					err = fmt.Errorf("submission %d added: %v", i+1, added)
				}
				return err
			})
		}
	})
}

func TestBadInput(t *testing.T) {
	onEngines(t, func(t *testing.T, db dbms.DB, s *sched.Service) {
		for name, c := range map[string]struct {
			fn   func(tx dbms.Tx) error
			want abi.Kind
		}{
			"no such queue":   {func(tx dbms.Tx) error { _, err := s.Submit(tx, &sched.Task{ID: "a", Queue: "none"}); return err }, abi.NotFound},
			"negative limit":  {func(tx dbms.Tx) error { return s.PutQueue(tx, "q", -1, 0) }, abi.Invalid},
			"empty name":      {func(tx dbms.Tx) error { return s.PutQueue(tx, "", 0, 0) }, abi.Invalid},
			"no such task":    {func(tx dbms.Tx) error { return s.Cancel(tx, "none", "{}") }, abi.NotFound},
			"list too long":   {func(tx dbms.Tx) error { _, err := s.List(tx, sched.Filter{Limit: sched.MaxList + 1}); return err }, abi.Invalid},
			"list of nothing": {func(tx dbms.Tx) error { _, err := s.List(tx, sched.Filter{Limit: -1}); return err }, abi.Invalid},
		} {
			if _, err := db.Update(t.Context(), abi.Call{Procedure: "test"}, c.fn); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
