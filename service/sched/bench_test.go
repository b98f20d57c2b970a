package sched_test

import (
	"strconv"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/dbmstest"
	"github.com/dbos-go/dbos/service/sched"
)

// BenchmarkLife is one task from submission to outcome, many in a
// transaction: what the scheduler's statements cost without the commit.
func BenchmarkLife(b *testing.B) {
	for _, e := range dbmstest.Engines() {
		b.Run(e.Name, func(b *testing.B) {
			e.Need(b)
			db, err := e.Open(b.Context(), b.TempDir(), dbms.Options{Durability: dbms.Async})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			s, err := sched.New(b.Context(), db)
			if err != nil {
				b.Fatal(err)
			}
			const batch = 100
			next := 0
			b.ResetTimer()
			for range b.N/batch + 1 {
				_, err := db.Update(b.Context(), abi.Call{Procedure: "bench"}, func(tx dbms.Tx) error {
					for range batch {
						next++
						id := "0198c3a2-7c1e-7000-8000-" + strconv.Itoa(100_000_000_000+next)
						if _, err := s.Submit(tx, &sched.Task{ID: id, Name: "job", Codec: "json", Input: "1", Worker: new("w")}); err != nil {
							return err
						}
						if err := s.Finish(tx, sched.Lease{ID: id, Epoch: 1}, sched.Outcome{State: sched.Succeeded, Output: new("1")}); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
