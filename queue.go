package dbos

import (
	"context"

	"github.com/dbos-go/dbos/dbms"
)

// A Queue holds runs until there is room for them (OnQueue). Its limits are
// stored, and hold over all processes of the system.
type Queue struct {
	name string
}

// A QueueOption sets a limit of a queue.
type QueueOption func(*queueOptions)

type queueOptions struct{ concurrency, perWorker int }

// Concurrency limits how many runs of the queue execute at once in all. A run
// that waits does not count.
func Concurrency(n int) QueueOption { return func(o *queueOptions) { o.concurrency = n } }

// WorkerConcurrency limits how many runs of the queue a process executes at
// once.
func WorkerConcurrency(n int) QueueOption { return func(o *queueOptions) { o.perWorker = n } }

// NewQueue returns the queue called name, and creates it or changes its limits
// if need be. Without limits its runs start in order, by priority and then by
// arrival, as soon as a process can execute one more.
func NewQueue(ctx context.Context, s *System, name string, opts ...QueueOption) (*Queue, error) {
	var o queueOptions
	for _, opt := range opts {
		opt(&o)
	}
	_, err := s.db.Update(ctx, s.call("sched.queue", s.principal(ctx)), func(tx dbms.Tx) error {
		return s.tasks.PutQueue(tx, name, o.concurrency, o.perWorker)
	})
	if err != nil {
		return nil, err
	}
	return &Queue{name: name}, nil
}

// Name returns the queue's name.
func (q *Queue) Name() string { return q.name }
