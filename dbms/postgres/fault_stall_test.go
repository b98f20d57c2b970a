package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// stallPatience is when a caller whose deadline has passed must be back: a
// commit that was sent is given some seconds.
const stallPatience = patience / 4

// A front is where a relay stands, and the URL through it.
type front func(t *testing.T) (r *relay, url string)

// toServer is the front of a server of the test's own.
func toServer(t *testing.T) front {
	s := startServer(t, pgtest.Loopback())
	var n atomic.Int64
	return func(t *testing.T) (*relay, string) {
		r := newRelay(t, s.Addr())
		return r, s.Via([]string{r.addr()}, fmt.Sprintf("stall_%d", n.Add(1)), "dbos_connections=8")
	}
}

// toPooler is the front of the shared pooler.
func toPooler(t *testing.T) front {
	p := pgtest.NeedPooler(t)
	return func(t *testing.T) (*relay, string) {
		r := newRelay(t, p.Addr())
		return r, p.Via(r.addr(), pgtest.Schema(t), "dbos_connections=8")
	}
}

// eachWay runs a test for each way to run a transaction, all at once because
// they mostly wait, each with a relay of its own.
func eachWay(t *testing.T, f front, variants []string, test func(t *testing.T, l *ledger, r *relay, w way, variant string)) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, w := range ways {
		for _, variant := range variants {
			all.Go(func() {
				t.Run(w.name+", "+variant, func(t *testing.T) {
					r, url := f(t)
					l := openLedger(t, url, dbms.Options{Timeout: time.Second})
					test(t, l, r, w, variant)
					l.check(t, l.db)
					l.checkHistory(t, l.db)
				})
			})
		}
	}
}

// TestNetworkStalls lets no byte through while connections stay: callers come
// back by their deadline, and the node works when bytes flow again.
func TestNetworkStalls(t *testing.T) {
	eachWay(t, toServer(t), []string{"at any time"}, func(t *testing.T, l *ledger, r *relay, w way, _ string) {
		r.stall()
		defer r.resume()
		for i := range 3 {
			id := fmt.Sprint("stalled ", i)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			began := time.Now()
			err := l.do(ctx, w, id, 0)
			cancel()
			if !errors.Is(err, abi.Timeout) && !errors.Is(err, abi.Unknown) {
				t.Errorf("a call in a stalled network: %v", err)
			}
			if took := time.Since(began); took > stallPatience {
				t.Errorf("the call, whose deadline was in 0.5 s, came back after %v", took)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		err := l.db.View(ctx, func(tx dbms.Tx) error {
			return scan(tx, "SELECT n FROM total", func(dbms.Rows) error { return nil })
		})
		if !errors.Is(err, abi.Timeout) {
			t.Errorf("a view in a stalled network: %v", err)
		}
		r.resume()
		if err := l.do(t.Context(), w, "again", 0); err != nil {
			t.Errorf("a call after the network flows again: %v", err)
		}
	})
}

// TestNetworkStallsInCommit stalls at the message that commits: the client's
// last (Sync), or the server's answer to it (ReadyForQuery). A caller who has a
// deadline then learns that nobody knows.
func TestNetworkStallsInCommit(t *testing.T) {
	eachWay(t, toServer(t), []string{"request", "answer"}, func(t *testing.T, l *ledger, r *relay, w way, which string) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		done := stallInCommit(ctx, t, l, r, w, which)
		defer r.resume()
		began := time.Now()
		if err := receive(t, "the caller with a deadline", done); !errors.Is(err, abi.Unknown) {
			t.Errorf("a commit that nobody answers: %v", err)
		}
		if took := time.Since(began); took > stallPatience {
			t.Errorf("the caller, whose deadline was in 2 s, came back after %v", took)
		}
		r.resume()
		if err := l.do(t.Context(), w, "again", 0); err != nil {
			t.Errorf("a call after the network flows again: %v", err)
		}
	})
}

// TestNetworkRecoversInCommit: a caller without a deadline waits. The message
// that commits may arrive at the server long after the engine has given its
// connection up, and what the caller is told must be true all the same.
func TestNetworkRecoversInCommit(t *testing.T) { recoverInCommit(t, toServer(t)) }

// TestNetworkToPoolerRecoversInCommit does so before a pooler: the engine
// cannot end the session on the server, because it does not know which it is.
func TestNetworkToPoolerRecoversInCommit(t *testing.T) { recoverInCommit(t, toPooler(t)) }

func recoverInCommit(t *testing.T, f front) {
	eachWay(t, f, []string{"request", "answer"}, func(t *testing.T, l *ledger, r *relay, w way, which string) {
		done := stallInCommit(t.Context(), t, l, r, w, which)
		defer r.resume()
		select {
		case err := <-done:
			t.Errorf("the caller came back: %v", err)
		case <-time.After(8 * time.Second): // more than the engine gives a commit
		}
		r.resume()
		if err := receive(t, "the patient caller", done); err != nil {
			t.Errorf("a commit that was held up: %v", err)
		}
	})
}

// stallInCommit makes a call and holds up its commit.
func stallInCommit(ctx context.Context, t *testing.T, l *ledger, r *relay, w way, which string) <-chan error {
	t.Helper()
	const id = "held up"
	kind := map[string]byte{"request": 'S', "answer": 'Z'}[which]
	stalled, fired := make(chan struct{}), false
	r.judging(func(c *relayed, m message) verdict {
		if !m.fromServer && bytes.Contains(m.raw, []byte(id)) {
			c.marked = true
		}
		if fired || !c.marked || m.fromServer != (which == "answer") || m.kind != kind {
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
