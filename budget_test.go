package dbos_test

import (
	"context"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// countingServer starts a server that counts statements, and returns how many
// it has counted.
func countingServer(t *testing.T) (*pgtest.Server, func() int) {
	t.Helper()
	pgtest.Need(t) // is PostgreSQL there at all?
	server, err := pgtest.Start(pgtest.Set("pg_stat_statements.track", "top"))
	pgtest.Check(t, err)
	t.Cleanup(func() { server.Stop() })
	count := func() int {
		rows, err := server.Exec(t.Context(), `SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%'`)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(rows[0][0])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if _, err := server.Exec(t.Context(), "CREATE EXTENSION pg_stat_statements"); err != nil {
		if os.Getenv("DBOS_TEST_REQUIRE") != "" {
			t.Fatal("the server does not count statements; install postgresql-contrib:", err)
		}
		t.Skip("the server does not count statements; install postgresql-contrib:", err)
	}
	return server, count
}

// How many statements an operation costs on PostgreSQL, as the server counts
// them (pg_stat_statements, track = top): all that come from this process, also
// those of the dispatcher. Heartbeats are left out by a long lease: they are one
// statement and the record of its call a second, whatever the load; and so is who follows
// the history, who asks once a second.
func TestStatementsPerOperation(t *testing.T) {
	server, count := countingServer(t)
	items := fstest.MapFS{"0001_item.sql": {Data: []byte("CREATE TABLE item (run TEXT NOT NULL)")}}
	sys, err := dbos.Open(t.Context(), server.URL("dbos"), dbos.Migrations(items), dbos.Lease(dbos.MaxLease), dbos.NoWarehouse())
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	q, err := dbos.NewQueue(t.Context(), sys, "q")
	if err != nil {
		t.Fatal(err)
	}
	noop := dbos.Workflow(sys, "noop", func(ctx dbos.Context, n int) (int, error) { return n, nil })
	const many = 10
	steps := dbos.Workflow(sys, "steps", func(ctx dbos.Context, n int) (int, error) {
		for range many {
			if _, err := dbos.Step(ctx, "step", func(context.Context) (int, error) { return 1, nil }); err != nil {
				return 0, err
			}
		}
		return n, nil
	})
	transactions := dbos.Workflow(sys, "transactions", func(ctx dbos.Context, n int) (int, error) {
		for range many {
			_, err := dbos.Transaction(ctx, "insert", func(tx *dbos.Tx) (int64, error) {
				return tx.Exec("INSERT INTO item VALUES ($1)", ctx.RunID())
			})
			if err != nil {
				return 0, err
			}
		}
		return n, nil
	})
	const runs = 100
	for _, c := range []struct {
		what    string
		def     *dbos.Definition[int, int]
		options []dbos.StartOption
		callers int
		budget  float64 // statements a run
	}{
		{"no-op", noop, nil, 1, 2},
		{"no-op of 16 callers", noop, nil, 16, 2},
		{"steps", steps, nil, 1, 2 + many},
		{"transaction steps", transactions, nil, 1, 2 + 4*many},
		{"queued no-op", noop, []dbos.StartOption{dbos.OnQueue(q)}, 16, 3},
	} {
		work := func(n int) {
			var callers sync.WaitGroup
			for range c.callers {
				callers.Go(func() {
					for range n / c.callers {
						run, err := c.def.Start(t.Context(), 1, c.options...)
						if err == nil {
							_, err = run.Result(t.Context())
						}
						if err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			callers.Wait()
		}
		work(2 * c.callers) // connections are made, statements prepared
		before := count()
		n := runs / c.callers * c.callers
		work(n)
		got := float64(count()-before) / float64(n)
		t.Logf("%s: %.2f statements a run, at most %.0f", c.what, got, c.budget)
		// The node tells others of itself, and reads the server's clock, every
		// few seconds.
		if got > c.budget+0.15 {
			t.Errorf("%s: %.2f statements a run, more than %.0f", c.what, got, c.budget)
			rows, _ := server.Exec(t.Context(), `SELECT calls, left(query, 100) FROM pg_stat_statements ORDER BY calls DESC LIMIT 12`)
			for _, row := range rows {
				t.Log(row)
			}
		}
	}
}
