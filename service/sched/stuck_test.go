package sched_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/sched"
)

// TestStuckWorker: a worker that was stopped in the middle of its heartbeat,
// so that it holds its own row, does not hold up the heartbeats of others, who
// learn whom to expel.
func TestStuckWorker(t *testing.T) {
	onEngines(t, func(t *testing.T, db dbms.DB, s *sched.Service) {
		shared, ok := db.(dbms.Gatherer)
		if !ok {
			return // one process owns the database
		}
		for worker, lease := range map[string]time.Duration{"stuck": time.Millisecond, "first": time.Hour, "second": time.Hour} {
			update(t, db, func(tx dbms.Tx) error { return s.Register(tx, worker, lease) })
		}
		holds, release := make(chan struct{}), make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			_, err := shared.UpdateReadCommitted(t.Context(), abi.Call{Procedure: "test"}, func(tx dbms.Tx) error {
				if _, err := tx.Exec(dbms.System("SELECT 1 FROM sched_worker WHERE id = 'stuck' FOR UPDATE")); err != nil {
					return err
				}
				close(holds)
				<-release
				return nil
			})
			ended <- err
		}()
		<-holds
		beat := func(worker string) sched.Pulse {
			t.Helper()
			p, err := s.Beat(t.Context(), abi.Call{Procedure: "test"}, sched.Heartbeat{Worker: worker, Lease: time.Millisecond, Limit: 10, Recoveries: 10})
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		p := beat("first")
		if !p.Alive || !slices.Equal(p.Stuck, []string{"stuck"}) || len(p.Buried) != 0 {
			t.Errorf("beside a worker that holds its row: %+v", p)
		}
		close(release)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if p = beat("second"); !slices.Contains(p.Buried, "stuck") || len(p.Stuck) != 0 {
			t.Errorf("after it has let go: %+v", p)
		}
	})
}
