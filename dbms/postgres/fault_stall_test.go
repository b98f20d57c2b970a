package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// TestNetworkStalls lets no byte through while connections stay: callers come
// back by their deadline, and the node works when bytes flow again.
func TestNetworkStalls(t *testing.T) {
	s, r := behind(t)
	l := openLedger(t, s.Via([]string{r.addr()}, "stall"), dbms.Options{Timeout: time.Second})
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			r.stall()
			defer r.resume()
			for i := range 3 { // more may wait than there are connections
				id := fmt.Sprintf("%s stalled %d", w.name, i)
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				began := time.Now()
				err := l.do(ctx, w, id, 0)
				cancel()
				if !errors.Is(err, abi.Timeout) && !errors.Is(err, abi.Unknown) {
					t.Errorf("a call in a stalled network: %v", err)
				}
				if took := time.Since(began); took > patience/4 {
					t.Errorf("the call came back after %v", took)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			if err := l.db.View(ctx, func(tx dbms.Tx) error {
				return scan(tx, "SELECT n FROM total", func(dbms.Rows) error { return nil })
			}); !errors.Is(err, abi.Timeout) {
				t.Errorf("a view in a stalled network: %v", err)
			}
			r.resume()
			if err := l.do(t.Context(), w, w.name+" again", 0); err != nil {
				t.Errorf("a call after the network flows again: %v", err)
			}
		})
	}
	l.check(t, l.db)
}

// TestNetworkStallsInCommit stalls at the message that commits. A caller who
// has a deadline then learns that nobody knows. One who has not waits; the
// message may still arrive at the server long after the engine has given its
// connection up, and what the caller is told must be true.
func TestNetworkStallsInCommit(t *testing.T) {
	s, r := behind(t)
	l := openLedger(t, s.Via([]string{r.addr()}, "stall"), dbms.Options{Timeout: time.Second})
	for _, w := range ways {
		for _, fromServer := range []bool{false, true} {
			name := fmt.Sprintf("%s, answer %v", w.name, fromServer)
			t.Run(name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				done := stallInCommit(t, ctx, l, r, w, name, fromServer)
				began := time.Now()
				if err := receive(t, "the caller with a deadline", done); !errors.Is(err, abi.Unknown) {
					t.Errorf("a commit that nobody answers: %v", err)
				}
				if took := time.Since(began); took > patience/4 {
					t.Errorf("the caller, whose deadline was in 2 s, came back after %v", took)
				}
				r.resume()
			})
			t.Run(name+", patient", func(t *testing.T) {
				done := stallInCommit(t, t.Context(), l, r, w, name+" patient", fromServer)
				const given = 8 * time.Second // more than the engine gives a commit
				select {
				case err := <-done:
					t.Errorf("the caller came back: %v", err)
				case <-time.After(given):
				}
				r.resume()
				if err := receive(t, "the patient caller", done); err != nil {
					t.Errorf("a commit that was held up: %v", err)
				}
			})
			if testing.Short() {
				break
			}
		}
	}
	l.check(t, l.db)
	l.checkHistory(t, l.db)
}

// stallInCommit makes a call and holds up its commit: the client's last
// message (Sync), or the server's answer to it (ReadyForQuery).
func stallInCommit(t *testing.T, ctx context.Context, l *ledger, r *relay, w way, id string, fromServer bool) <-chan error {
	t.Helper()
	stalled, fired := make(chan struct{}), false
	r.judging(func(c *relayed, m message) verdict {
		if !m.fromServer && bytes.Contains(m.raw, []byte(id)) {
			c.marked = true
		}
		last := m.fromServer == fromServer && (m.kind == 'S' && !fromServer || m.kind == 'Z' && fromServer)
		if fired || !c.marked || !last {
			return pass
		}
		fired = true
		close(stalled)
		return hold
	})
	done := make(chan error, 1)
	go func() { done <- l.do(ctx, w, id, 0) }()
	await(t, "the commit", stalled, 1)
	return done
}

// receive waits for a call's end.
func receive(t *testing.T, what string, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatalf("%s does not come back", what)
		return nil
	}
}
