package dbos

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/sched"
	"github.com/dbos-go/dbos/service/workflow"
)

// A StartOption changes how a run is started.
type StartOption func(*startOptions)

type startOptions struct {
	id       string
	queue    string
	priority int
}

// ID names the run. Starting it again with the same workflow and input is the
// same run; with another, an error of kind abi.Exists. Without ID a run gets a
// random one.
func ID(id string) StartOption { return func(o *startOptions) { o.id = id } }

// OnQueue puts the run into a queue instead of executing it at once.
func OnQueue(q *Queue) StartOption { return func(o *startOptions) { o.queue = q.name } }

// OnQueueNamed is OnQueue for a queue that another program created.
func OnQueueNamed(name string) StartOption { return func(o *startOptions) { o.queue = name } }

// Priority orders the runs of a queue: higher goes first, equals in order of
// their start. The default is 0; at most 2⁵³ either way.
func Priority(p int) StartOption { return func(o *startOptions) { o.priority = p } }

// Start starts a run. When it returns the run is recorded, and will finish
// whatever happens to this process.
//
// With a workflow's Context the run is its child, and starting it is a step:
// it happens exactly once. Cancelling the parent cancels the child.
func (d *Definition[In, Out]) Start(ctx context.Context, in In, opts ...StartOption) (*Run[Out], error) {
	input, err := encode(d.sys.options.codec, "input of workflow "+d.def.name, in)
	if err != nil {
		return nil, err
	}
	run, parent := &Run[Out]{sys: d.sys}, executionOf(ctx)
	if parent == nil || parent.again == nil { // replays start nothing
		if err := d.sys.Launch(ctx); err != nil {
			return nil, err
		}
	}
	if parent != nil {
		run.id, err = parent.startChild(d.def.name, input, opts)
	} else {
		var t *sched.Task
		if t, err = d.sys.start(ctx, d.def.name, input, opts, true); err == nil {
			run.id = t.ID
			if t.State == sched.Queued {
				run.queued = time.Now()
			}
		}
	}
	if err != nil {
		return nil, err
	}
	return run, nil
}

// StartIn queues a run inside a transaction: it starts if and only if the
// transaction commits. Of the run's Result wait after that.
func (d *Definition[In, Out]) StartIn(tx *Tx, in In, opts ...StartOption) (*Run[Out], error) {
	input, err := encode(d.sys.options.codec, "input of workflow "+d.def.name, in)
	if err != nil {
		return nil, err
	}
	if tx.run != nil && tx.run.again != nil {
		opts = tx.run.again.named(opts)
	}
	t, err := d.sys.task(d.def.name, input, d.sys.principal(tx.ctx), opts)
	if err != nil {
		return nil, err
	}
	if tx.run != nil {
		t.Parent = &tx.run.task.ID
	}
	if _, err := d.sys.submit(tx.tx, t); err != nil {
		return nil, err
	}
	return &Run[Out]{sys: d.sys, id: t.ID}, nil
}

// StartNamed starts a run of a workflow by its name, which need not be
// registered here: the run waits for a process that has it. It returns the
// run's ID. input is JSON, or, with another codec, its bytes.
func (s *System) StartNamed(ctx context.Context, name string, input []byte, opts ...StartOption) (string, error) {
	if err := abi.CheckName("dbos.start", "workflow", name); err != nil {
		return "", err
	}
	text, err := storeRaw(s.options.codec, "input of workflow "+name, input)
	if err != nil {
		return "", err
	}
	t, err := s.start(ctx, name, text, opts, false)
	if err != nil {
		return "", err
	}
	return t.ID, nil
}

// task makes the row of a new run.
func (s *System) task(name, input string, p abi.Principal, opts []StartOption) (*sched.Task, error) {
	var o startOptions
	for _, opt := range opts {
		opt(&o)
	}
	if o.id == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, abi.Errorf("dbos.start", abi.Unavailable, "random source", "%w", err)
		}
		o.id = id.String()
	}
	if err := abi.CheckName("dbos.start", "run", o.id); err != nil {
		return nil, err
	}
	return &sched.Task{
		ID: o.id, Name: name, Queue: o.queue, Priority: o.priority, Codec: s.options.codec.Name(),
		Input: input, Principal: p, Version: s.options.version,
	}, nil
}

// start records a run and, if it may be executed here and now, executes it.
func (s *System) start(ctx context.Context, name, input string, opts []StartOption, here bool) (*sched.Task, error) {
	t, err := s.task(name, input, s.principal(ctx), opts)
	if err != nil {
		return nil, err
	}
	slot := here && t.Queue == "" && s.takeSlot()
	if slot {
		t.Worker = s.worker.Load()
	}
	cancels := s.cancels.Load()
	ours, err := s.enter(ctx, t)
	s.begin(t, slot, ours, cancels)
	return t, err
}

// enter submits a task in a transaction of its own. ours says that this
// process must execute it.
func (s *System) enter(ctx context.Context, t *sched.Task) (ours bool, err error) {
	unknown := false
	for {
		added, err := s.tasks.Enter(ctx, s.call("sched.submit", t.Principal), t)
		switch {
		case err == nil && added:
			return t.Worker != nil, nil
		case err == nil:
			var old *sched.Task
			err = s.db.View(ctx, func(tx dbms.Tx) (err error) {
				old, err = s.tasks.Get(tx, t.ID)
				return err
			})
			if err == nil && unknown && sched.Entered(t, old) {
				t.State, t.Epoch, t.Attempt = sched.Running, old.Epoch, 1
				return true, nil
			}
			if err == nil {
				err = compare(t, old)
			}
		}
		if abi.KindOf(err) != abi.Unknown || ctx.Err() != nil {
			if unknown {
				s.astray(err)
			}
			return false, err
		}
		unknown = true
		s.astray(err)
	}
}

// submit adds the task, or finds that it is there already. ours says that
// this process must execute it once the transaction has committed.
func (s *System) submit(tx dbms.Tx, t *sched.Task) (ours bool, err error) {
	added, err := s.tasks.Submit(tx, t)
	if err != nil || added {
		return t.Worker != nil, err
	}
	old, err := s.tasks.Get(tx, t.ID)
	if err != nil {
		return false, err
	}
	return false, compare(t, old)
}

// compare returns an error unless the task that is there is the same run.
func compare(t, old *sched.Task) error {
	if old.Name != t.Name || old.Input != t.Input || old.Codec != t.Codec {
		return abi.Errorf("dbos.start", abi.Exists, "run "+t.ID, "it is a run of workflow %s with another input", old.Name).
			WithHint("give each run an ID of its own")
	}
	return nil
}

// begin executes a task that was submitted as this worker's in a slot that was
// taken for it, or frees the slot.
func (s *System) begin(t *sched.Task, slot, ours bool, cancels uint64) {
	switch {
	case ours:
		s.execute(t, false, cancels)
	case slot:
		s.freeSlots(1)
	}
}

// startChild is Start with a workflow's context.
func (e *execution) startChild(name, input string, opts []StartOption) (string, error) {
	step, recorded := e.next(workflow.Start, name, digest(input))
	var id string
	if recorded {
		return id, replay(e, step, &id)
	}
	s := e.sys
	t, err := s.task(name, input, e.task.Principal, append([]StartOption{ID(e.key(step.Seq))}, opts...))
	if err != nil {
		return "", err
	}
	t.Parent = &e.task.ID
	output, err := encode(e.codec, "child", t.ID)
	if err != nil {
		return "", err
	}
	step.Output = &output
	slot := t.Queue == "" && s.takeSlot()
	cancels := s.cancels.Load()
	ours, done := false, false
	defer func() { // also when the run must leave
		if ours && !done {
			s.astray(errUnknownChild)
		}
		s.begin(t, slot, ours && done, cancels)
	}()
	err = e.commitOwn(step, func(tx dbms.Tx) (err error) {
		if t.Worker = nil; slot {
			t.Worker = s.worker.Load()
		}
		ours, err = s.submit(tx, t)
		return err
	})
	if err != nil {
		return "", err
	}
	done = step.Output == &output // and not recorded by an earlier try
	return id, replay(e, step, &id)
}

// errUnknownChild says that a child may be this worker's, by an earlier try
// whose outcome was not known.
var errUnknownChild = abi.Errorf("dbos.start", abi.Unknown, "child", "an earlier try may have started it")
