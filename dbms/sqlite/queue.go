package sqlite

import (
	"runtime"
	"sync"
)

// A queue holds the requests that wait for the writer.
type queue struct {
	mu      sync.Mutex
	filled  sync.Cond
	waiting []*request
	closed  bool
}

// put adds a request. It returns false if the queue is closed.
func (q *queue) put(r *request) bool {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.waiting = append(q.waiting, r)
	if len(q.waiting) == 1 {
		q.filled.Signal()
	}
	q.mu.Unlock()
	return true
}

// take waits for requests and returns all of them; empty is where it puts the
// next ones. It returns none when the queue is closed and empty.
func (q *queue) take(empty []*request) []*request {
	// The callers just acknowledged are ready to run. If they go first, their
	// next calls come into this group instead of waiting for its commit.
	runtime.Gosched()
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && !q.closed {
		q.filled.Wait()
	}
	taken := q.waiting
	q.waiting = empty
	return taken
}

// more appends the requests that wait, if any.
func (q *queue) more(group []*request) []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	group = append(group, q.waiting...)
	q.waiting = q.waiting[:0]
	return group
}

// remove takes a request out again. It returns false if the writer has it.
func (q *queue) remove(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, waiting := range q.waiting {
		if waiting == r {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			return true
		}
	}
	return false
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.filled.Broadcast()
	q.mu.Unlock()
}
