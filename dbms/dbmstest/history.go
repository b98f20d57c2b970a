package dbmstest

import (
	"fmt"
	"slices"

	"github.com/dbos-go/dbos/dbms"
)

// A transaction is one transaction of a list-append history: the database is
// a set of lists, and a transaction reads lists and appends elements that
// nobody else appends. Reading a list tells who appended before whom, so a
// history can be checked without searching (the idea of Elle).
type transaction struct {
	name string
	ops  []op
	// start and end are positions on one real-time axis: of the call, and of
	// its return.
	start, end int
	// aborted says that nothing of it may be seen.
	aborted bool
	// snapshot is Tx.LSN.
	snapshot dbms.LSN
	// lsn is the commit's; 0 for a view.
	lsn dbms.LSN
}

// An op reads a list or appends to it.
type op struct {
	key     int
	append  int   // the element; 0 for a read
	element []int // what the read saw
}

// A history is what was observed.
type history []transaction

// writers maps each element to the transaction that appended it.
func (h history) writers() (map[int]int, error) {
	writers := map[int]int{}
	for i, t := range h {
		for _, o := range t.ops {
			if o.append == 0 {
				continue
			}
			if _, dup := writers[o.append]; dup {
				return nil, fmt.Errorf("element %d is appended twice: the history is no list-append history", o.append)
			}
			writers[o.append] = i
		}
	}
	return writers, nil
}

// check returns an error that describes the first anomaly of the history:
// nil means that it is strictly serializable, that LSNs follow the order in
// which transactions saw and overwrote one another, and that each one read
// exactly its snapshot.
func (h history) check() error {
	writers, err := h.writers()
	if err != nil {
		return err
	}
	order, err := h.versionOrder(writers)
	if err != nil {
		return err
	}
	for _, check := range []func(map[int]int, map[int][]int) error{
		h.checkReads, h.checkAppends, h.checkSnapshots, h.checkCycles,
	} {
		if err := check(writers, order); err != nil {
			return err
		}
	}
	return nil
}

// versionOrder is each list as the longest read saw it. All other reads must
// be beginnings of it.
func (h history) versionOrder(writers map[int]int) (map[int][]int, error) {
	order := map[int][]int{}
	for _, t := range h {
		if t.aborted {
			continue
		}
		for _, o := range t.reads() {
			if len(o.element) > len(order[o.key]) {
				order[o.key] = o.element
			}
		}
	}
	for key, list := range order {
		seen := map[int]bool{}
		for _, e := range list {
			if _, known := writers[e]; !known || seen[e] {
				return nil, fmt.Errorf("list %d holds %d, which nobody appended there or which is there twice: %v", key, e, list)
			}
			seen[e] = true
		}
	}
	for _, t := range h {
		for _, o := range t.reads() {
			if list := order[o.key]; !t.aborted && !slices.Equal(o.element, list[:len(o.element)]) {
				return nil, fmt.Errorf("incompatible orders: %s read list %d as %v, others as %v", t.name, o.key, o.element, list)
			}
		}
	}
	return order, nil
}

// reads are the reads of a transaction without what it had itself appended
// before. checkReads reports a read that lacks that.
func (t transaction) reads() []op {
	var reads []op
	own := map[int][]int{}
	for _, o := range t.ops {
		if o.append != 0 {
			own[o.key] = append(own[o.key], o.append)
			continue
		}
		cut := len(o.element) - len(own[o.key])
		if cut >= 0 && slices.Equal(o.element[cut:], own[o.key]) {
			o.element = o.element[:cut]
		}
		reads = append(reads, o)
	}
	return reads
}

// checkReads finds reads of aborted and of unfinished work, reads that miss
// the transaction's own appends, and reads that change within a transaction.
func (h history) checkReads(writers map[int]int, order map[int][]int) error {
	for _, t := range h {
		if err := t.checkOwn(); err != nil {
			return err
		}
		first := map[int][]int{}
		for _, o := range t.reads() {
			if before, again := first[o.key]; again && !slices.Equal(before, o.element) {
				return fmt.Errorf("%s read list %d as %v and then as %v", t.name, o.key, before, o.element)
			}
			first[o.key] = o.element
			for n, e := range o.element {
				w := writers[e]
				switch {
				case h[w].aborted:
					return fmt.Errorf("aborted read: %s saw %d of %s, which did not commit", t.name, e, h[w].name)
				case n == len(o.element)-1 && e != h[w].last(o.key):
					return fmt.Errorf("intermediate read: %s saw %d of %s without its later appends to list %d", t.name, e, h[w].name, o.key)
				}
			}
		}
	}
	return nil
}

// checkOwn: a read ends with what the transaction itself appended before, and
// has nothing of what it appends later.
func (t transaction) checkOwn() error {
	own := map[int][]int{}
	for _, o := range t.ops {
		if o.append != 0 {
			own[o.key] = append(own[o.key], o.append)
			continue
		}
		cut := len(o.element) - len(own[o.key])
		if cut < 0 || !slices.Equal(o.element[cut:], own[o.key]) || slices.Contains(o.element[:cut], t.last(o.key)) {
			return fmt.Errorf("own appends: %s had appended %v to list %d and read %v", t.name, own[o.key], o.key, o.element)
		}
	}
	return nil
}

// last is the last element that a transaction appended to a list.
func (t transaction) last(key int) int {
	last := 0
	for _, o := range t.ops {
		if o.key == key && o.append != 0 {
			last = o.append
		}
	}
	return last
}

// checkAppends finds committed appends that are not in the list. The history
// must end with a read of all lists.
func (h history) checkAppends(_ map[int]int, order map[int][]int) error {
	for _, t := range h {
		for _, o := range t.ops {
			if o.append != 0 && !t.aborted && !slices.Contains(order[o.key], o.append) {
				return fmt.Errorf("lost update: %s appended %d to list %d and nobody sees it", t.name, o.append, o.key)
			}
		}
	}
	return nil
}

// checkSnapshots: a transaction at LSN s reads exactly the commits up to s.
func (h history) checkSnapshots(writers map[int]int, order map[int][]int) error {
	for _, t := range h {
		if t.aborted {
			continue
		}
		for _, o := range t.reads() {
			for n, e := range order[o.key] {
				w := h[writers[e]]
				if saw := n < len(o.element); saw != (w.lsn <= t.snapshot) {
					return fmt.Errorf("snapshot: %s at LSN %d, reading list %d: saw %d of %s, which is commit %d: %v",
						t.name, t.snapshot, o.key, e, w.name, w.lsn, saw)
				}
			}
		}
	}
	return nil
}
