package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres"
)

// patience is how long anything may take on a slow and busy machine.
const patience = 60 * time.Second

// A ledger is work whose traces can be counted: each call adds a row with its
// name, which no constraint keeps from being there twice, and one to a sum. It
// remembers what callers were told.
type ledger struct {
	db *postgres.DB

	mu      sync.Mutex
	acked   map[string]dbms.LSN
	failed  map[string]error // certainly not done
	unknown map[string]error
}

// openLedger opens a database and makes its tables.
func openLedger(t *testing.T, url string, o dbms.Options) *ledger {
	t.Helper()
	db := openDB(t, url, o)
	l := &ledger{db: db, acked: map[string]dbms.LSN{}, failed: map[string]error{}, unknown: map[string]error{}}
	for _, sql := range []string{
		"CREATE TABLE done (id text, n bigint GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (id, n))",
		"CREATE TABLE total (shard bigint PRIMARY KEY, n bigint NOT NULL)",
		"INSERT INTO total SELECT i, 0 FROM generate_series(0, 3) i",
	} {
		if _, err := db.Update(t.Context(), abi.Call{Procedure: "test.create"}, statement(sql)); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	return l
}

// openDB opens a database, to be closed at the test's end.
func openDB(t *testing.T, url string, o dbms.Options) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

// statement is a transaction of one statement of an application.
func statement(sql string, args ...any) func(dbms.Tx) error {
	q := dbms.SQL(sql)
	return func(tx dbms.Tx) error {
		_, err := tx.Exec(q, args...)
		return err
	}
}

// A way is one of the engine's ways to run a transaction.
type way struct {
	name string
	call func(ctx context.Context, l *ledger, id string, shard int) (dbms.LSN, error)
}

var ways = []way{
	{"update", func(ctx context.Context, l *ledger, id string, shard int) (dbms.LSN, error) {
		return l.db.Update(ctx, callOf(id), enter(id, shard))
	}},
	{"update with savepoints", func(ctx context.Context, l *ledger, id string, shard int) (dbms.LSN, error) {
		return l.db.Update(ctx, callOf(id), func(tx dbms.Tx) error {
			if err := statement("INSERT INTO total VALUES (0, 0)")(tx); !errors.Is(err, abi.Exists) {
				return fmt.Errorf("a row that is there: %w", err)
			}
			return enter(id, shard)(tx)
		})
	}},
	{"update at read committed", func(ctx context.Context, l *ledger, id string, shard int) (dbms.LSN, error) {
		return l.db.UpdateReadCommitted(ctx, callOf(id), enter(id, shard))
	}},
	{"gather", func(ctx context.Context, l *ledger, id string, shard int) (dbms.LSN, error) {
		rows, err := l.db.Gather(ctx, callOf(id), gatherEntry, id, shard)
		if err == nil && (len(rows) != 1 || rows[0][0] != id) {
			err = fmt.Errorf("the call's rows are %v", rows)
		}
		return 0, err // Gather does not tell it
	}},
}

func callOf(id string) abi.Call { return abi.Call{Procedure: "test.enter", Execution: id, Step: 1} }

func enter(id string, shard int) func(dbms.Tx) error {
	return func(tx dbms.Tx) error {
		if err := statement("INSERT INTO done (id) VALUES ($1)", id)(tx); err != nil {
			return err
		}
		return statement("UPDATE total SET n = n + 1 WHERE shard = $1", shard)(tx)
	}
}

// gatherEntry is enter for many calls. It needs no snapshot of its own: it
// decides nothing, and rows of the sum are locked in one order.
var gatherEntry = dbms.System(`
WITH c AS (SELECT * FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS c (id, shard, ordinal)),
	entered AS (INSERT INTO done (id) SELECT id FROM c ORDER BY ordinal),
	locked AS (SELECT shard FROM total WHERE shard IN (SELECT shard FROM c) ORDER BY shard FOR UPDATE),
	summed AS (UPDATE total SET n = n + (SELECT count(*) FROM c WHERE c.shard = total.shard) WHERE shard IN (SELECT shard FROM locked))
SELECT ordinal, id FROM c`)

// do makes a call and writes down what the caller is told.
func (l *ledger) do(ctx context.Context, w way, id string, shard int) error {
	lsn, err := w.call(ctx, l, id, shard)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.acked[id] = lsn
	case resultLost(w, err):
		l.acked[id] = lsn
		return nil
	case errors.Is(err, abi.Unknown):
		l.unknown[id] = err
	default:
		l.failed[id] = err
	}
	return err
}

// resultLost: a gathered call whose answer was lost cannot run again to give
// it, but the caller is told that it was done.
func resultLost(w way, err error) bool {
	return w.name == "gather" && errors.Is(err, abi.Unknown) && strings.Contains(err.Error(), "it was done, but its result was lost")
}

// check compares the tables and the history with what callers were told. The
// database is one that nothing harms any more.
func (l *ledger) check(t *testing.T, db dbms.DB) {
	t.Helper()
	times, rows, sum := map[string]int{}, 0, 0
	err := db.View(t.Context(), func(tx dbms.Tx) error {
		clear(times)
		rows = 0
		err := scan(tx, "SELECT id FROM done", func(r dbms.Rows) error {
			var id string
			err := r.Scan(&id)
			times[id]++
			rows++
			return err
		})
		return errors.Join(err, scan(tx, "SELECT sum(n) FROM total", func(r dbms.Rows) error { return r.Scan(&sum) }))
	})
	if err != nil {
		t.Fatal(err)
	}
	if sum != rows {
		t.Errorf("%d rows, but the sum is %d: half of a transaction was done", rows, sum)
	}
	for id, n := range times {
		_, acked := l.acked[id]
		_, unknown := l.unknown[id]
		if n > 1 || !acked && !unknown {
			t.Errorf("call %s was done %d times, its caller was told %v", id, n, l.failed[id])
		}
	}
	for id := range l.acked {
		if times[id] != 1 {
			t.Errorf("call %s was acknowledged and done %d times", id, times[id])
		}
	}
	if t.Failed() {
		t.Logf("%d calls acknowledged, %d unknown, %d failed", len(l.acked), len(l.unknown), len(l.failed))
	}
}

// checkHistory compares Changes with the table and the LSNs that callers were
// told.
func (l *ledger) checkHistory(t *testing.T, db dbms.DB) {
	t.Helper()
	lsns, after := map[string]dbms.LSN{}, dbms.LSN(0)
	for {
		commits, err := db.Changes(t.Context(), after, dbms.MaxBatch)
		if err != nil {
			t.Fatal(err)
		}
		if len(commits) == 0 {
			break
		}
		for _, c := range commits {
			for _, change := range c.Changes {
				if change.Table == "done" && change.Op == dbms.Insert {
					id := change.Row[0].(string)
					if lsns[id] != 0 || c.Call.Execution != id {
						t.Errorf("commit %d of %s has the row of %s, which commit %d has too", c.LSN, c.Call.Execution, id, lsns[id])
					}
					lsns[id] = c.LSN
				}
			}
		}
		after = commits[len(commits)-1].LSN
	}
	for id, lsn := range l.acked {
		if got := lsns[id]; got == 0 || lsn != 0 && got != lsn {
			t.Errorf("call %s was acknowledged as commit %d, Changes has it as %d", id, lsn, got)
		}
	}
	for id := range lsns {
		if _, acked := l.acked[id]; !acked && l.unknown[id] == nil {
			t.Errorf("Changes has call %s, whose caller was told %v", id, l.failed[id])
		}
	}
}

// scan calls row for each row of a query.
func scan(tx dbms.Tx, sql string, row func(dbms.Rows) error) error {
	rows, err := tx.Query(dbms.SQL(sql))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// load runs callers until stop is closed, each with calls of all ways, and
// signals each acknowledged call on progress, if somebody receives.
func (l *ledger) load(callers int, stop <-chan struct{}, progress chan<- struct{}, tolerable func(error) bool, report func(error)) *sync.WaitGroup {
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d.%d", caller, i)
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				err := l.do(ctx, ways[(caller+i)%len(ways)], id, i%4)
				cancel()
				if err != nil && !tolerable(err) {
					report(fmt.Errorf("call %s: kind %q: %w", id, abi.KindOf(err), err))
				}
				if err == nil {
					select {
					case progress <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	return &all
}

// await waits for a signal, n times.
func await[T any](t *testing.T, what string, signal <-chan T, n int) {
	t.Helper()
	late := time.After(patience)
	for range n {
		select {
		case <-signal:
		case <-late:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
