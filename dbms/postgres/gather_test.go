package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

const gatherSource = `
-- name: put
-- Inserts an account, unless it is there.
WITH c AS (SELECT * FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS c (id, n, call)),
	added AS (INSERT INTO sched_account (id, n) SELECT id, n FROM c ON CONFLICT DO NOTHING RETURNING id)
SELECT c.call, c.n FROM c JOIN added USING (id)

-- name: add
-- Adds to accounts, each of which several calls may name.
WITH c AS (SELECT * FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS c (id, n, call)),
	sums AS (SELECT id, sum(n) AS n FROM c GROUP BY id),
	held AS (SELECT a.id FROM sched_account AS a JOIN sums USING (id) ORDER BY a.id FOR UPDATE OF a),
	added AS (UPDATE sched_account AS a SET n = a.n + sums.n FROM sums, held WHERE a.id = sums.id AND held.id = sums.id RETURNING a.id)
SELECT c.call FROM c JOIN added USING (id)
`

type gatherQueries struct{ Put, Add *dbms.Query }

func gatherSystem(t *testing.T) (*DB, gatherQueries) {
	t.Helper()
	db := system(t, dbms.Options{})
	var q gatherQueries
	schema := dbms.Migrations{Owner: "sched", Steps: []dbms.Migration{{
		Version: 1, Name: "account", SQL: "CREATE TABLE sched_account (id text PRIMARY KEY, n bigint NOT NULL CHECK (n >= 0))"}}}
	if err := errors.Join(db.Migrate(t.Context(), schema), dbms.Bind(&q, gatherSource)); err != nil {
		t.Fatal(err)
	}
	return db, q
}

// TestGather: calls that run together are each done once, get their own rows,
// and are each recorded with what they changed.
func TestGather(t *testing.T) {
	db, q := gatherSystem(t)
	start := db.Status().LastLSN
	const callers, each = 32, 20
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", c, i)
				call := abi.Call{Procedure: "test.put", Principal: "user:ada", Execution: id, Step: i + 1}
				for n := range 2 { // the second finds it there
					rows, err := db.Gather(t.Context(), call, q.Put, id, i)
					if err != nil || len(rows) != 1-n || n == 0 && rows[0][0] != int64(i) {
						t.Errorf("put %s, time %d: %v, %v", id, n, rows, err)
					}
				}
			}
		})
	}
	all.Wait()
	commits, err := db.Changes(t.Context(), start, dbms.MaxBatch)
	if err != nil || len(commits) != 2*callers*each {
		t.Fatalf("%d commits, error %v; want %d", len(commits), err, 2*callers*each)
	}
	changes := map[string]int{}
	for i, c := range commits {
		if i > 0 && c.LSN <= commits[i-1].LSN {
			t.Errorf("commit %d follows %d", c.LSN, commits[i-1].LSN)
		}
		changes[c.Call.Execution] += len(c.Changes)
		for _, change := range c.Changes {
			if change.Key[0] != c.Call.Execution {
				t.Errorf("the call of %s has the change of %v", c.Call.Execution, change.Key)
			}
		}
		if c.Call.Procedure != "test.put" || c.Call.Principal != "user:ada" || c.Call.Node != db.node {
			t.Errorf("recorded call %+v", c.Call)
		}
	}
	for id, n := range changes {
		if n != 1 {
			t.Errorf("%s has %d changes, want 1", id, n)
		}
	}
}

// TestGatherFailure: a call whose statement fails does not take its
// neighbours with it.
func TestGatherFailure(t *testing.T) {
	db, q := gatherSystem(t)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			n := int64(i%4) - 1 // every fourth is refused
			_, err := db.Gather(t.Context(), abi.Call{Procedure: "test.put"}, q.Put, fmt.Sprint(i), n)
			if (err != nil) != (n < 0) || err != nil && abi.KindOf(err) != abi.Invalid {
				t.Errorf("put of %d: %v", n, err)
			}
		})
	}
	all.Wait()
	if got, err := value(t, db, "SELECT count(*) FROM sched_account"); err != nil || got != int64(48) {
		t.Errorf("%v accounts, error %v; want 48", got, err)
	}
}

// TestGatherConflict: statements of several nodes over the same rows all
// happen.
func TestGatherConflict(t *testing.T) {
	db, q := gatherSystem(t)
	other := node(t, urlOf(db), dbms.Options{})
	for i := range 4 {
		if _, err := db.Gather(t.Context(), abi.Call{Procedure: "test.put"}, q.Put, fmt.Sprint(i), 0); err != nil {
			t.Fatal(err)
		}
	}
	const callers, each = 16, 25
	var all sync.WaitGroup
	for c := range callers {
		on := []*DB{db, other}[c%2]
		all.Go(func() {
			for i := range each {
				rows, err := on.Gather(t.Context(), abi.Call{Procedure: "test.add"}, q.Add, fmt.Sprint((c+i)%4), 1)
				if err != nil || len(rows) != 1 {
					t.Errorf("add: %v, %v", rows, err)
				}
			}
		})
	}
	all.Wait()
	if got, err := value(t, db, "SELECT sum(n) FROM sched_account"); err != nil || got != int64(callers*each) {
		t.Errorf("the accounts hold %v, error %v; want %d", got, err, callers*each)
	}
}

func TestGatherMisuse(t *testing.T) {
	db, q := gatherSystem(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	call := abi.Call{Procedure: "test.put"}
	for what, c := range map[string]struct {
		ctx  context.Context
		call abi.Call
		args []any
		kind abi.Kind
	}{
		"no procedure":   {t.Context(), abi.Call{}, []any{"a", 1}, abi.Invalid},
		"one argument":   {t.Context(), call, []any{"a"}, abi.Invalid},
		"three":          {t.Context(), call, []any{"a", 1, 1}, abi.Invalid},
		"a bad argument": {t.Context(), call, []any{"a", make(chan int)}, abi.Invalid},
		"NUL":            {t.Context(), call, []any{"a\x00", 1}, abi.Invalid},
		"another type":   {t.Context(), call, []any{"a", "one"}, abi.Invalid},
		"an ended call":  {ended, call, []any{"a", 1}, abi.Canceled},
	} {
		if _, err := db.Gather(c.ctx, c.call, q.Put, c.args...); abi.KindOf(err) != c.kind {
			t.Errorf("%s: %v, want kind %q", what, err, c.kind)
		}
	}
	if got, err := value(t, db, "SELECT count(*) FROM sched_account"); err != nil || got != int64(0) {
		t.Errorf("%v accounts, error %v; want none", got, err)
	}
}
