package postgres

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// BenchmarkCapture measures what history costs the transactions that it
// records: an order is taken, of two lines, and stock is counted down.
func BenchmarkCapture(b *testing.B) {
	for _, capture := range []string{captureOff, captureLogical, captureTriggers} {
		b.Run(capture, func(b *testing.B) {
			db := benchSystem(b, capture)
			var serial atomic.Int64
			start := logPlace(b)
			b.ResetTimer()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := db.Update(b.Context(), abi.Call{Procedure: "order"}, takeOrder(serial.Add(1))); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(logPlace(b)-start)/float64(b.N), "log-B/op")
		})
	}
}

// logPlace is how far the server's log is.
func logPlace(b *testing.B) uint64 {
	b.Helper()
	rows, err := pgtest.Need(b).Exec(b.Context(), "SELECT pg_current_wal_insert_lsn()")
	if err != nil {
		b.Fatal(err)
	}
	place, err := parsePlace(rows[0][0])
	if err != nil {
		b.Fatal(err)
	}
	return place
}

func benchSystem(b *testing.B, capture string) *DB {
	b.Helper()
	schema := fmt.Sprintf("bench%x", rand.Uint64())
	server := pgtest.Need(b)
	mode := "dbos_history=" + capture
	if capture == captureOff {
		mode = "dbos_history=auto"
	}
	db, err := Open(b.Context(), server.URL(schema, mode), dbms.Options{NoHistory: capture == captureOff})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
		if err := server.Drop(schema); err != nil {
			b.Error(err)
		}
	})
	_, err = db.Update(b.Context(), abi.Call{Procedure: "setup"}, func(tx dbms.Tx) error {
		for _, sql := range []string{
			"CREATE TABLE orders (id bigint PRIMARY KEY, customer text NOT NULL, state text NOT NULL, note text)",
			"CREATE TABLE lines (id bigint NOT NULL, line bigint NOT NULL, item bigint NOT NULL, n bigint NOT NULL, PRIMARY KEY (id, line))",
			"CREATE TABLE stock (item bigint PRIMARY KEY, n bigint NOT NULL, name text NOT NULL)",
			"INSERT INTO stock SELECT i, 1000000, 'the name of an item ' || i FROM generate_series(0, 9999) AS i",
		} {
			if _, err := tx.Exec(dbms.SQL(sql)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return db
}

var (
	newOrder  = dbms.SQL("INSERT INTO orders VALUES ($1, $2, 'new', $3)")
	newLine   = dbms.SQL("INSERT INTO lines VALUES ($1, $2, $3, 1)")
	takeStock = dbms.SQL("UPDATE stock SET n = n - 1 WHERE item = $1")
	confirm   = dbms.SQL("UPDATE orders SET state = 'confirmed' WHERE id = $1")
)

var note = strings.Repeat("a note of some length ", 10)

func takeOrder(id int64) func(dbms.Tx) error {
	return func(tx dbms.Tx) error {
		if _, err := tx.Exec(newOrder, id, "a customer", note); err != nil {
			return err
		}
		for line := range 2 {
			item := (id*7919 + int64(line)*104729) % 10000
			if _, err := tx.Exec(newLine, id, line, item); err != nil {
				return err
			}
			if _, err := tx.Exec(takeStock, item); err != nil {
				return err
			}
		}
		_, err := tx.Exec(confirm, id)
		return err
	}
}

// BenchmarkChanges measures how fast Changes reads changes, 100 in each commit.
func BenchmarkChanges(b *testing.B) {
	for _, capture := range captures {
		b.Run(capture, func(b *testing.B) {
			db := benchSystem(b, capture)
			const each, commits = 100, 500
			first := dbms.LSN(0)
			for i := range commits {
				lsn, err := db.Update(b.Context(), abi.Call{Procedure: "fill"}, func(tx dbms.Tx) error {
					_, err := tx.Exec(dbms.SQL("INSERT INTO lines SELECT $1, i, i, 1 FROM generate_series(1, $2) AS i"), i, each)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
				if i == 0 {
					first = lsn
				}
			}
			for b.Loop() { // which begins to measure here
				got, err := everything(b.Context(), db, first, 200)
				if err != nil || len(got) < commits-1 {
					b.Fatalf("%d commits, error %v", len(got), err)
				}
				db.history.closeIdle(0)
			}
			b.ReportMetric(float64(b.N*each*(commits-1))/b.Elapsed().Seconds(), "changes/s")
		})
	}
}
