package postgres_test

import (
	"testing"

	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// TestServerCrashes restarts the server under load as if it had crashed:
// callers wait for it, and everything that was acknowledged is there, once.
func TestServerCrashes(t *testing.T) {
	s := startServer(t)
	l := openLedger(t, s.URL("crash"), dbms.Options{})
	crashes := 6
	if testing.Short() {
		crashes = 2
	}
	watcher := l.db.Watch("news")
	defer watcher.Close()
	stop, progress := make(chan struct{}), make(chan struct{})
	all := l.load(8, stop, progress, tolerable, func(err error) { t.Error(err) })
	for range crashes {
		await(t, "calls", progress, 50)
		if err := s.Restart(); err != nil {
			t.Error(err)
			break
		}
	}
	await(t, "calls after the last crash", progress, 50)
	close(stop)
	all.Wait()
	l.check(t, l.db)
	l.checkHistory(t, l.db)
	await(t, "a wake-up for whoever may have missed one", watcher.C(), 1)
}

// TestServerIsAway stops the server for a while: a call made meanwhile
// succeeds when it is back.
func TestServerIsAway(t *testing.T) {
	s := startServer(t)
	l := openLedger(t, s.URL("away"), dbms.Options{})
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	called, done := make(chan struct{}), make(chan error, len(ways))
	for i, w := range ways {
		go func() {
			called <- struct{}{}
			done <- l.do(t.Context(), w, w.name, i)
		}()
	}
	await(t, "the calls", called, len(ways))
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	for range ways {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	l.check(t, l.db)
}

// TestFailover kills the primary under load and promotes its synchronous
// standby: no acknowledged work is lost, and callers find the new primary by
// themselves.
func TestFailover(t *testing.T) {
	for _, history := range []string{"triggers", "logical"} {
		t.Run(history, func(t *testing.T) { failOver(t, history) })
	}
}

func failOver(t *testing.T, history string) {
	primary := startServer(t, pgtest.Loopback())
	l := openLedger(t, primary.Via([]string{primary.Addr()}, "failover", "dbos_history="+history), dbms.Options{})
	if err := l.db.Close(); err != nil {
		t.Fatal(err)
	}
	standby, err := primary.Standby()
	if err != nil {
		t.Fatal(err)
	}
	defer standby.Stop()
	both := []string{primary.Addr(), standby.Addr()}
	url := primary.Via(both, "failover", "dbos_history="+history, "target_session_attrs=read-write")
	l.db = openDB(t, url, dbms.Options{})
	stop, progress := make(chan struct{}), make(chan struct{})
	all := l.load(8, stop, progress, tolerable, func(err error) { t.Error(err) })
	await(t, "calls on the primary", progress, 100)
	if err := primary.Kill(); err != nil {
		t.Error(err)
	}
	if err := standby.Promote(); err != nil {
		t.Error(err)
	}
	await(t, "calls on the new primary", progress, 100)
	close(stop)
	all.Wait()
	l.check(t, l.db)
	if history == "triggers" { // a slot stays behind with the old primary
		l.checkHistory(t, l.db)
	}
}
