package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// TestCutAtEveryMessage cuts the connection of a call at each of its messages,
// to the server and from it: before the message, within it and after it. As the
// server can be reached again at once, every call must find out what became
// of its commit and succeed, once.
func TestCutAtEveryMessage(t *testing.T) {
	s, r := behind(t)
	cutEverywhere(t, r, s.Via([]string{r.addr()}, "cut"))
}

// TestCutAtEveryMessageToPooler does so before a pooler, which shows the
// server another end of a connection than the one that was cut.
func TestCutAtEveryMessageToPooler(t *testing.T) {
	p := pgtest.NeedPooler(t)
	r := newRelay(t, p.Addr())
	cutEverywhere(t, r, p.Via(r.addr(), pgtest.Schema(t)))
}

func cutEverywhere(t *testing.T, r *relay, url string) {
	l := openLedger(t, url, dbms.Options{})
	step := 1
	if testing.Short() {
		step = 3
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			for _, fromServer := range []bool{false, true} {
				for _, v := range []verdict{cutBefore, cutWithin, cutAfter} {
					for n := 1; cutAt(t, l, r, w, fromServer, v, n); n += step {
					}
				}
			}
		})
	}
	l.check(t, l.db)
	l.checkHistory(t, l.db)
	if len(l.acked) < 20 {
		t.Errorf("only %d calls: the relay does not find their messages", len(l.acked))
	}
}

// cutAt makes a call whose connection is cut at the nth message after the one
// that first names the call, and reports whether there was such a message.
func cutAt(t *testing.T, l *ledger, r *relay, w way, fromServer bool, v verdict, n int) bool {
	t.Helper()
	id := fmt.Sprintf("%s %v %d %d", w.name, fromServer, v, n)
	fired := false
	r.judging(func(c *relayed, m message) verdict {
		if !m.fromServer && bytes.Contains(m.raw, []byte(id)) {
			c.marked = true
		}
		if fired || !c.marked || m.fromServer != fromServer {
			return pass
		}
		c.seen++
		if c.seen < n {
			return pass
		}
		fired = true
		return v
	})
	if err := l.do(t.Context(), w, id, n%4); err != nil {
		t.Errorf("call %q: %v", id, err)
	}
	r.judging(nil)
	return fired && !t.Failed()
}

// TestCutUnderLoad cuts connections at random messages while many callers
// call, also those connections by which the engine looks for an outcome.
func TestCutUnderLoad(t *testing.T) {
	s, r := behind(t)
	l := openLedger(t, s.Via([]string{r.addr()}, "cut"), dbms.Options{})
	cuts, wanted := 0, 150
	if testing.Short() {
		wanted = 30
	}
	random, enough := rand.New(rand.NewPCG(6, 7)), make(chan struct{})
	r.judging(func(*relayed, message) verdict {
		if cuts == wanted || random.IntN(200) > 0 {
			return pass
		}
		if cuts++; cuts == wanted {
			close(enough)
		}
		return verdict(1 + random.IntN(3))
	})
	stop := make(chan struct{})
	all := l.load(8, stop, nil, func(error) bool { return false }, func(err error) { t.Error(err) })
	await(t, "the cuts", enough, 1)
	close(stop)
	all.Wait()
	l.check(t, l.db)
	l.checkHistory(t, l.db)
}

// tolerable: a call that found no server, or whose commit nobody can tell of
// before the server is back.
func tolerable(err error) bool {
	return errors.Is(err, abi.Unavailable) || errors.Is(err, abi.Unknown)
}
