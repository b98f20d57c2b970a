package sched_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
	"github.com/dbos-go/dbos/service/sched"
)

// As long as a session holds an old snapshot, the server keeps the index
// entries of all tasks that were claimed since. A claim must not read them again:
// how many index entries a claim reads must not grow.
func TestClaimsUnderAHeldSnapshot(t *testing.T) {
	pgtest.Need(t) // is PostgreSQL there at all?
	server, err := pgtest.Start(pgtest.Set("autovacuum", "off"))
	pgtest.Check(t, err)
	t.Cleanup(func() { server.Stop() })
	free := claimReads(t, server, "free", false)
	held := claimReads(t, server, "held", true)
	t.Logf("a claim of %d reads %.0f index entries, and under a held snapshot %.0f", claimBatch, free, held)
	if held > 2*max(free, claimBatch) {
		t.Errorf("a claim of %d reads %.0f index entries under a held snapshot, %.0f without", claimBatch, held, free)
	}
}

const (
	claimBatch = 50
	claims     = 100
)

// claimReads is how many index entries a claim reads, one of many.
func claimReads(t *testing.T, server *pgtest.Server, schema string, hold bool) float64 {
	t.Helper()
	db, err := postgres.Open(t.Context(), server.URL(schema), dbms.Options{Durability: dbms.Async, NoHistory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := sched.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx dbms.Tx) error { return s.Register(tx, "w", time.Hour) })
	submitMany(t, db, s, claims*claimBatch)
	release := make(chan struct{})
	ended := make(chan error, 1)
	if hold {
		begun := make(chan struct{})
		go func() {
			ended <- db.View(t.Context(), func(tx dbms.Tx) error {
				_, err := s.Count(tx) // takes the snapshot
				close(begun)
				<-release
				return err
			})
		}()
		<-begun
	}
	for range claims {
		claimAndFinish(t, s)
	}
	close(release)
	if hold {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	db.Close() // the server counts a session's work at its end
	return indexReads(t, server, schema) / claims
}

// indexReads is how many entries of the index of queued tasks were read.
func indexReads(t *testing.T, server *pgtest.Server, schema string) float64 {
	t.Helper()
	for {
		rows, err := server.Exec(t.Context(), `SELECT idx_tup_read,
			(SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'dbos %')
			FROM pg_stat_all_indexes WHERE indexrelname = 'sched_task_queued' AND schemaname = '`+schema+`'`)
		if err != nil {
			t.Fatal(err)
		}
		if rows[0][1] == "0" {
			reads, err := strconv.ParseFloat(rows[0][0], 64)
			if err != nil {
				t.Fatal(err)
			}
			return reads
		}
	}
}

func submitMany(t *testing.T, db dbms.DB, s *sched.Service, n int) {
	t.Helper()
	for done := 0; done < n; done += 500 {
		update(t, db, func(tx dbms.Tx) error {
			for i := range 500 {
				if _, err := s.Submit(tx, &sched.Task{ID: fmt.Sprint("task ", done+i), Name: "job", Codec: "json", Input: "1"}); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func claimAndFinish(t *testing.T, s *sched.Service) {
	t.Helper()
	s.RaiseFloors()
	call := abi.Call{Procedure: "test"}
	tasks, _, _, err := s.Take(t.Context(), call, "w", []string{"job"}, claimBatch)
	if err != nil || len(tasks) != claimBatch {
		t.Fatalf("%d tasks claimed, %v", len(tasks), err)
	}
	var finished sync.WaitGroup
	for _, task := range tasks {
		finished.Go(func() {
			lease := sched.Lease{ID: task.ID, Epoch: task.Epoch}
			if err := s.Conclude(t.Context(), call, lease, sched.Outcome{State: sched.Succeeded, Output: new("1")}, false); err != nil {
				t.Error(err)
			}
		})
	}
	finished.Wait()
}
