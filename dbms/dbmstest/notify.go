package dbmstest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dbos-go/dbos/dbms"
)

// examineNotify: watchers wake if and only if a transaction that notified
// their topic has committed.
func examineNotify(t *testing.T, e Engine) {
	d := openAsync(t, e)
	createBoth(d)
	t.Run("only if it commits", func(t *testing.T) { examineNoSignal(t, d) })
	t.Run("if it commits", func(t *testing.T) { examineSignal(t, d) })
	t.Run("coalescing", func(t *testing.T) { examineCoalescing(t, d) })
	t.Run("many topics", func(t *testing.T) { examineTopics(t, d) })
	t.Run("no lost wake-up", func(t *testing.T) { examineWakeUps(t, d) })
	t.Run("close", func(t *testing.T) { examineWatcherClose(t, d) })
}

func notify(topics ...string) func(dbms.Tx) error {
	return func(tx dbms.Tx) error {
		for _, topic := range topics {
			tx.Notify(topic)
		}
		return nil
	}
}

// signalled takes a signal that is there. Signals are sent before Update
// returns or a moment later, so a test that wants none waits for another
// topic's signal first.
func signalled(w dbms.Watcher) bool {
	select {
	case <-w.C():
		return true
	default:
		return false
	}
}

func examineNoSignal(t *testing.T, d *database) {
	failing, other, after := d.Watch("failing"), d.Watch("other"), d.Watch("after")
	defer failing.Close()
	defer other.Close()
	defer after.Close()
	for _, f := range faults {
		ctx, fn := f.spoil(notify("failing"))
		if o := attempt(ctx, d, examiner, fn); o.ok() {
			t.Errorf("%s: the transaction has committed", f.name)
		}
	}
	if err := d.View(t.Context(), notify("failing")); err != nil {
		t.Errorf("Notify in a view: %v", err)
	}
	d.update(notify("after"))
	await(t, "the signal of the last commit", after.C())
	if signalled(failing) {
		t.Error("a transaction that failed, or a view, has woken a watcher")
	}
	if signalled(other) {
		t.Error("a watcher was woken by another topic")
	}
}

func examineSignal(t *testing.T, d *database) {
	for _, topic := range []string{"t", "", "Ünï\x00code", "t "} {
		first, second := d.Watch(topic), d.Watch(topic)
		d.update(notify(topic))
		await(t, fmt.Sprintf("topic %q, first watcher", topic), first.C())
		await(t, fmt.Sprintf("topic %q, second watcher", topic), second.C())
		first.Close()
		second.Close()
	}
	// What was committed before the signal is there after it.
	w := d.Watch("parts")
	defer w.Close()
	go d.Update(t.Context(), examiner, bothHalves(1))
	await(t, "the signal of the work", w.C())
	d.want(1, "SELECT n FROM total")
}

// examineCoalescing: signals that nobody has taken become one, and hold
// nobody up.
func examineCoalescing(t *testing.T, d *database) {
	w, last := d.Watch("often"), d.Watch("last")
	defer w.Close()
	defer last.Close()
	for range 100 {
		d.update(notify("often", "often"))
	}
	d.update(notify("last"))
	await(t, "the last signal", last.C())
	await(t, "the one signal", w.C())
	n := 0
	for signalled(w) {
		n++
	}
	if n > 1 {
		t.Errorf("%d signals were waiting after the first; they must coalesce", n)
	}
}

func examineTopics(t *testing.T, d *database) {
	const n = 1000
	watchers := make([]dbms.Watcher, n)
	var even []string
	for i := range watchers {
		watchers[i] = d.Watch(fmt.Sprint("topic", i))
		if i%2 == 0 {
			even = append(even, fmt.Sprint("topic", i))
		}
	}
	d.update(notify(even...))
	for i := 0; i < n; i += 2 {
		await(t, even[i/2], watchers[i].C())
	}
	for i, w := range watchers {
		if signalled(w) {
			t.Errorf("topic%d has a signal that it should not have", i)
		}
		w.Close()
	}
}

// examineWakeUps lets consumers take what producers make, waiting for signals
// only. A lost signal would leave work behind.
func examineWakeUps(t *testing.T, d *database) {
	d.exec("CREATE TABLE job (id bigint PRIMARY KEY NOT NULL)")
	n := rounds(400)
	var producers, consumers sync.WaitGroup
	for p := range 4 {
		producers.Go(func() {
			for i := range n / 4 {
				_, err := d.Update(t.Context(), examiner, func(tx dbms.Tx) error {
					tx.Notify("job")
					return run("INSERT INTO job VALUES ($1)", i*4+p)(tx)
				})
				if err != nil {
					t.Errorf("produce: %v", err)
				}
			}
		})
	}
	var mu sync.Mutex
	taken := 0
	finished := make(chan struct{})
	for range 2 {
		consumers.Go(func() {
			for {
				w := d.Watch("job") // before looking, as the contract allows
				got := consume(t, d)
				mu.Lock()
				taken += got
				if got > 0 && taken == n/4*4 {
					close(finished)
				}
				mu.Unlock()
				select {
				case <-w.C():
				case <-finished:
					w.Close()
					return
				case <-time.After(patience / 2):
					t.Errorf("no signal within %v", patience/2)
					w.Close()
					return
				}
				w.Close()
			}
		})
	}
	promptly(t, "the producers", producers.Wait)
	consumers.Wait()
	d.want(0, "SELECT count(*) FROM job")
}

// consume deletes all jobs and returns how many there were.
func consume(t *testing.T, d *database) int {
	var n int64
	_, err := d.Update(t.Context(), examiner, func(tx dbms.Tx) error {
		var err error
		n, err = tx.Exec(dbms.SQL("DELETE FROM job"))
		return err
	})
	if err != nil {
		t.Errorf("consume: %v", err)
		return 0
	}
	return int(n)
}

func examineWatcherClose(t *testing.T, d *database) {
	closed, open := d.Watch("c"), d.Watch("c")
	defer open.Close()
	closed.Close()
	closed.Close() // again is nothing
	d.update(notify("c"))
	await(t, "the watcher that is open", open.C())
	if signalled(closed) {
		t.Error("a closed watcher was signalled")
	}
	// Watchers come and go while transactions notify.
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range rounds(100) {
				w := d.Watch("c")
				if _, err := d.Update(t.Context(), examiner, notify("c")); err != nil {
					t.Errorf("update: %v", err)
				}
				select {
				case <-w.C():
				case <-time.After(patience / 2):
					t.Error("a watcher made before the commit missed it")
					return
				}
				w.Close()
			}
		})
	}
	promptly(t, "the watchers", all.Wait)
}
