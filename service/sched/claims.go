package sched

import (
	"math"
	"slices"
	"sync"
	"time"
)

// claims is what a worker remembers of its claims, so that a claim need not
// read the index of queued tasks from its beginning.
//
// There may be much at the beginning that is not queued any more: as long as
// any session holds an old snapshot, such as a long query or a backup, the
// server cannot take away the entries of tasks that were claimed since, and
// whoever reads from the beginning reads them all again. So the worker
// remembers for each queue and priority a floor, the seq below which it found
// nothing, and claims from there on.
//
// A floor decides nothing: tasks come to stand below it (they were queued again, or
// their submission took a sequence number early and committed late). Therefore
// the worker reads from the beginning too, at a pace that makes the reading a
// small part of the work (lookBack): every few milliseconds when there is nothing
// in the way, and the more rarely the more there is.
type claims struct {
	mu     sync.Mutex
	queues []queue // nil if they must be read
	floors map[string][]floor
	raised time.Time // when the floors were raised
	seen   int64     // a seq at which the last sequence number stood a while ago
	full   time.Time // when to read from the beginning again
	owed   bool      // something may be below a floor
}

// A floor is that of a queue's priority. It is raised in two steps, so that
// it stays some time behind what was claimed: submissions that are under way
// commit above it.
type floor struct {
	rank            int64 // the negated priority, so that ranks ascend as the index does
	seq, next, last int64
}

const (
	// floorLag is how far floors stay behind, at least.
	floorLag = 100 * time.Millisecond
	// lookBack is how much longer than reading from the beginning takes the
	// worker does not do it again.
	lookBack = 16
	// maxLookBack is how long it waits at most.
	maxLookBack = time.Second
	// maxFloors is how many priorities of a queue have floors.
	maxFloors = 16
)

// A span is a range of the index of queued tasks, both ends excluded.
type span struct {
	N     int    `json:"n"` // its place among the spans
	Queue string `json:"queue"`
	Rank1 int64  `json:"rank1"`
	Seq1  int64  `json:"seq1"`
	Rank2 int64  `json:"rank2"`
	Seq2  int64  `json:"seq2"`
}

// spans are where to look for a queue's tasks, in the order of claiming: all
// of it, or what is above the floors and between the priorities.
func (c *claims) spans(queue string, full bool) []span {
	s := span{Queue: queue, Rank1: math.MinInt64, Rank2: math.MaxInt64, Seq2: math.MaxInt64}
	var list []span
	if !full {
		for _, f := range c.floors[queue] {
			if f.seq == 0 {
				continue
			}
			s.Rank2, s.Seq2 = f.rank, 0
			list = append(list, s)
			s.Rank1, s.Seq1 = f.rank, f.seq
		}
	}
	s.Rank2, s.Seq2 = math.MaxInt64, math.MaxInt64
	return append(list, s)
}

// number gives spans their places.
func number(list []span) []span {
	for i := range list {
		list[i].N = i
	}
	return list
}

// claimed notes what was found in a queue.
func (c *claims) claimed(queue string, priority int, seq int64) {
	if c.floors == nil {
		c.floors = map[string][]floor{}
	}
	list := c.floors[queue]
	rank := -int64(priority)
	i, known := slices.BinarySearchFunc(list, rank, func(f floor, rank int64) int {
		switch {
		case f.rank < rank:
			return -1
		case f.rank > rank:
			return 1
		}
		return 0
	})
	switch {
	case known:
		list[i].last = max(list[i].last, seq)
	case len(list) < maxFloors:
		c.floors[queue] = slices.Insert(list, i, floor{rank: rank, last: seq})
	}
}

// exhausted notes that nothing more was found in the queues: whatever had come
// when the last sequence number stood at seen is gone.
func (c *claims) exhausted(queues []string) {
	for _, name := range queues {
		if len(c.floors[name]) == 0 && c.seen > 0 {
			c.claimed(name, 0, c.seen)
		}
		list := c.floors[name]
		for i := range list {
			list[i].last = max(list[i].last, c.seen)
		}
	}
}

// raise lifts the floors, if it is time.
func (c *claims) raise(now time.Time) {
	if now.Sub(c.raised) < floorLag {
		return
	}
	c.raised = now
	for _, list := range c.floors {
		for i := range list {
			f := &list[i]
			f.seq, f.next = max(f.seq, f.next), f.last
		}
	}
}
