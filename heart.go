package dbos

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/sched"
)

// A heart is when this process, on a database that many share, says next that
// it lives. The same statement wakes tasks whose time has come, so it also
// beats when the next one is due.
type heart struct {
	mu     sync.Mutex
	due    time.Time     // by the host's clock, as the rest are durations; zero for none
	sooner chan struct{} // due is earlier than it was
	astray atomic.Bool   // there may be tasks that are ours and that nobody executes
	lives  int           // how many leases were lost
}

func (h *heart) init() { h.sooner = make(chan struct{}, 1) }

// beatsPerLease is how often a worker is heard in the time of a lease.
const beatsPerLease = 3

// beat is the goroutine that keeps this process alive in the eyes of the
// others, and looks after theirs.
func (s *System) beat() {
	every := s.options.lease / beatsPerLease
	next := time.Now().Add(every)
	for s.ctx.Err() == nil {
		s.pause(next)
		if s.ctx.Err() != nil {
			return
		}
		next = time.Now().Add(every)
		more, err := s.beatOnce()
		switch {
		case s.ctx.Err() != nil:
			return
		case err != nil:
			s.log.Warn("heartbeat failed; trying again", "error", err)
			next = time.Now().Add(min(every, 200*time.Millisecond))
			s.heart.set(time.Time{})
		case more:
			next = time.Now()
		}
	}
}

// pause waits for the next heartbeat, or until a task is due.
func (s *System) pause(next time.Time) {
	for {
		at := next
		if due := s.heart.next(); !due.IsZero() && due.Before(at) {
			at = due
		}
		timer := time.NewTimer(time.Until(at))
		select {
		case <-timer.C:
			return
		case <-s.heart.sooner:
			timer.Stop()
		case <-s.ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (h *heart) next() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.due
}

func (h *heart) set(due time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.due = due
}

// fallsDue notes that a task of this process is due after so long.
func (h *heart) fallsDue(rest time.Duration) {
	due := time.Now().Add(rest)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.due.IsZero() || due.Before(h.due) {
		h.due = due
		select {
		case h.sooner <- struct{}{}:
		default:
		}
	}
}

// beatOnce makes a heartbeat. It reports whether another has work at once.
func (s *System) beatOnce() (more bool, err error) {
	s.heart.set(time.Time{}) // what is parked from now on counts
	worker := *s.worker.Load()
	p, err := s.tasks.Beat(s.ctx, s.call("sched.beat", abi.System), sched.Heartbeat{
		Worker: worker, Lease: s.options.lease, Limit: dispatchBatch, Recoveries: s.options.recoveries,
	})
	if err != nil {
		return false, err
	}
	if p.Rest != nil {
		s.heart.fallsDue(*p.Rest)
	}
	for _, late := range p.Stuck {
		s.expel(late)
	}
	for _, dead := range p.Buried {
		s.log.Warn("a worker is dead; its runs are taken over", "worker", dead)
		s.expel(dead)
	}
	if p.Poisoned {
		if err := s.tasks.Alone(s.ctx, s.call("sched.condemn", abi.System), s.condemn); err != nil {
			return false, err
		}
	}
	if !p.Alive {
		return true, s.reborn(worker)
	}
	if s.heart.astray.Swap(false) {
		if err := s.gather(); err != nil {
			s.heart.astray.Store(true)
			return false, err
		}
	}
	return p.More, nil
}

// expel breaks a dead worker's connections, so that its transactions hold no
// locks. That is a courtesy: without the right to do it, those locks last until
// the server notices.
func (s *System) expel(worker string) {
	node, _, _ := strings.Cut(worker, "#")
	if shared, ok := s.db.(dbms.Gatherer); ok && node != s.db.Status().Node {
		if err := shared.Expel(s.ctx, node); err != nil && s.ctx.Err() == nil {
			s.log.Warn("cannot break a dead worker's connections", "worker", worker, "error", err)
		}
	}
}

// reborn goes on as a new worker after others have taken this one for dead.
// What it executes is theirs now: nothing that it could still do would count.
func (s *System) reborn(dead string) error {
	s.log.Warn("this process was silent for too long; its runs were taken over", "worker", dead)
	for _, e := range s.local() {
		e.cancel(abi.Errorf("dbos.run", abi.Fenced, "run "+e.task.ID, "the lease of worker %s was lost", dead))
	}
	s.heart.lives++
	worker := s.db.Status().Node + "#" + strconv.Itoa(s.heart.lives+1)
	err := s.tasks.Alone(s.ctx, s.call("sched.register", abi.System), func(tx dbms.Tx) error {
		return s.tasks.Register(tx, worker, s.options.lease)
	})
	if err == nil {
		s.worker.Store(&worker)
	}
	return err
}

// astray notes an error after which tasks may be this worker's without being
// executed: it is not known whether they were claimed.
func (s *System) astray(err error) {
	if err != nil && s.tasks.Shared() && abi.KindOf(err) != abi.Closed {
		s.heart.astray.Store(true)
	}
}

// gather gives back what this worker holds and does not execute. A task that
// is just about to be executed may be among it: its execution is then fenced, and
// another one begins.
func (s *System) gather() error {
	var strays []sched.Lease
	err := s.db.View(s.ctx, func(tx dbms.Tx) error {
		var err error
		strays, err = s.tasks.Strays(tx, *s.worker.Load())
		return err
	})
	if err != nil {
		return err
	}
	for _, l := range strays {
		s.mu.Lock()
		e := s.running[l.ID]
		s.mu.Unlock()
		if e != nil && e.task.Epoch == l.Epoch {
			continue
		}
		err := s.tasks.Alone(s.ctx, s.call("sched.yield", abi.System), func(tx dbms.Tx) error { return s.tasks.Yield(tx, l) })
		if err != nil {
			return err
		}
	}
	return nil
}
