package dbmstest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dbos-go/dbos/dbms"
)

// A transaction works on one of these few lists, so that transactions meet.
// After some time all go on to other lists: reading long ones is slow.
const (
	lists    = 4
	lifetime = 20 // transactions of a caller
)

var (
	listRead = dbms.SQL("SELECT element FROM list WHERE key = $1 ORDER BY seq")
	// listAppend reads what it depends on, as applications do.
	listAppend = dbms.SQL("INSERT INTO list (key, seq, element) SELECT $1, coalesce(max(seq), 0) + 1, $2 FROM list WHERE key = $1")
)

// A workload runs random transactions and notes what they saw.
type workload struct {
	d        *database
	instant  atomic.Int64 // the real-time axis
	elements atomic.Int64 // given out

	mu      sync.Mutex
	history history
}

// examineHistories checks a random history of concurrent transactions.
func examineHistories(t *testing.T, e Engine) {
	w := &workload{d: openAsync(t, e)}
	w.d.exec("CREATE TABLE list (key bigint NOT NULL, seq bigint NOT NULL, element bigint NOT NULL, PRIMARY KEY (key, seq))")
	n := rounds(400)
	var all sync.WaitGroup
	for caller := range 8 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(3, uint64(caller)))
			for i := range n {
				if err := w.step(random, i/lifetime*lists, fmt.Sprintf("T%d.%d", caller, i)); err != nil {
					t.Errorf("transaction: %v", err)
					return
				}
			}
		})
	}
	finally(t, "the transactions", all.Wait)
	var last []op
	for key := range (n/lifetime + 1) * lists {
		last = append(last, op{key: key})
	}
	if err := w.view("the last view", last); err != nil {
		t.Fatal(err)
	}
	if err := w.history.check(); err != nil {
		t.Error(err)
	}
	w.checkContention(t)
}

// checkContention: a workload in which nobody met anybody shows nothing.
func (w *workload) checkContention(t *testing.T) {
	var commits, aborts, overlapping int
	latest := 0
	for _, tx := range w.history {
		switch {
		case tx.aborted:
			aborts++
		case tx.lsn != 0:
			commits++
		}
		if tx.start < latest {
			overlapping++
		}
		latest = max(latest, tx.end)
	}
	if commits < 10 || aborts == 0 || overlapping < 10 {
		t.Errorf("the history is too tame: %d commits, %d aborts, %d overlapping", commits, aborts, overlapping)
	}
}

// step runs one random transaction on the lists from the first one on.
func (w *workload) step(random *rand.Rand, first int, name string) error {
	reads := random.IntN(4) == 0
	ops := make([]op, 1+random.IntN(4))
	for i := range ops {
		ops[i].key = first + random.IntN(lists)
		if !reads && random.IntN(2) == 0 {
			ops[i].append = int(w.elements.Add(1))
		}
	}
	if reads {
		return w.view(name, ops)
	}
	return w.update(name, ops, random.IntN(8) == 0)
}

func (w *workload) update(name string, ops []op, fails bool) error {
	tx := transaction{name: name, aborted: fails, start: int(w.instant.Add(1))}
	lsn, err := w.d.Update(w.d.t.(*testing.T).Context(), examiner, func(t dbms.Tx) error {
		var err error
		if tx.snapshot, tx.ops, err = perform(t, ops); err == nil && fails {
			err = errBoom
		}
		return err
	})
	tx.lsn, tx.end = lsn, int(w.instant.Add(1))
	w.note(tx)
	if fails && errors.Is(err, errBoom) {
		return nil
	}
	return err
}

func (w *workload) view(name string, ops []op) error {
	tx := transaction{name: name, start: int(w.instant.Add(1))}
	err := w.d.View(w.d.t.(*testing.T).Context(), func(t dbms.Tx) error {
		var err error
		tx.snapshot, tx.ops, err = perform(t, ops)
		return err
	})
	tx.end = int(w.instant.Add(1))
	w.note(tx)
	return err
}

func (w *workload) note(tx transaction) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, tx)
}

// perform runs the operations and returns them with what they saw.
func perform(t dbms.Tx, ops []op) (dbms.LSN, []op, error) {
	done := make([]op, 0, len(ops))
	for _, o := range ops {
		if o.append != 0 {
			if _, err := t.Exec(listAppend, o.key, o.append); err != nil {
				return 0, nil, err
			}
		} else {
			err := each(t, listRead, func(r dbms.Rows) error {
				var e int
				err := r.Scan(&e)
				o.element = append(o.element, e)
				return err
			}, o.key)
			if err != nil {
				return 0, nil, err
			}
		}
		done = append(done, o)
	}
	return t.LSN(), done, nil
}
