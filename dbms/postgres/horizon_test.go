package postgres

import (
	"sync"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// TestStoppedBarrier: a process that is stopped while it holds all commits up
// does so for a moment only.
func TestStoppedBarrier(t *testing.T) {
	db := system(t, dbms.Options{})
	inside, release := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- db.holdBarrier(t.Context(), func(dbms.LSN) error {
			close(inside)
			<-release
			return nil
		})
	}()
	await(t, "the barrier", inside)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := db.Update(t.Context(), abi.Call{Procedure: "test"}, func(dbms.Tx) error { return nil }); err != nil {
			t.Errorf("an update behind a barrier that nobody takes away: %v", err)
		}
	}()
	await(t, "the update", done)
	close(release)
	if err := <-ended; err == nil {
		t.Error("the barrier ended in good order although the server had ended it")
	}
}

// TestAnchored: with many commits under way, each snapshot that is asked for
// its LSN holds exactly the commits up to it.
func TestAnchored(t *testing.T) {
	db := system(t, dbms.Options{})
	other := node(t, urlOf(db), dbms.Options{})
	commit(t, db, func(tx dbms.Tx) error {
		_, err := tx.Exec(dbms.SQL("CREATE TABLE entry (id bigint PRIMARY KEY)"))
		return err
	})
	var mu sync.Mutex
	lsns := map[int64]dbms.LSN{}
	var writers sync.WaitGroup
	stop := make(chan struct{})
	for w := range 8 {
		on := []*DB{db, other}[w%2]
		writers.Go(func() {
			for i := int64(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := i*8 + int64(w)
				lsn, err := on.UpdateReadCommitted(t.Context(), abi.Call{Procedure: "test"}, func(tx dbms.Tx) error {
					_, err := tx.Exec(dbms.SQL("INSERT INTO entry VALUES ($1)"), id)
					return err
				})
				if err != nil {
					t.Errorf("insert: %v", err)
					return
				}
				mu.Lock()
				lsns[id] = lsn
				mu.Unlock()
			}
		})
	}
	type snapshot struct {
		lsn  dbms.LSN
		seen map[int64]bool
	}
	var snapshots []snapshot
	for range 40 {
		s := snapshot{}
		err := other.View(t.Context(), func(tx dbms.Tx) error {
			s = snapshot{seen: map[int64]bool{}}
			rows, err := tx.Query(dbms.SQL("SELECT id FROM entry"))
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var id int64
				if err := rows.Scan(&id); err != nil {
					return err
				}
				s.seen[id] = true
			}
			s.lsn = tx.LSN()
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		snapshots = append(snapshots, s)
	}
	close(stop)
	writers.Wait()
	for _, s := range snapshots {
		for id, lsn := range lsns {
			if s.seen[id] != (lsn <= s.lsn) {
				t.Fatalf("a snapshot at LSN %d saw commit %d: %v", s.lsn, lsn, s.seen[id])
			}
		}
	}
}
