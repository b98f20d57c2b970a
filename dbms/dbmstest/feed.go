package dbmstest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// examineFeed is about reading Changes.
func examineFeed(t *testing.T, e Engine) {
	t.Run("limits", func(t *testing.T) { examineLimits(t, e) })
	t.Run("following", func(t *testing.T) { examineFollowing(t, e) })
	t.Run("without history", func(t *testing.T) { examineNoHistory(t, e) })
	t.Run("history off and on", func(t *testing.T) { examineHistorySwitched(t, e) })
	t.Run("many changes", func(t *testing.T) { examineManyChanges(t, e) })
}

func examineLimits(t *testing.T, e Engine) {
	d := openAsync(t, e)
	d.exec("CREATE TABLE t (v bigint)")
	for i := range 5 {
		d.exec("INSERT INTO t VALUES ($1)", i)
	}
	all := d.changes(0)
	for _, c := range []struct {
		after dbms.LSN
		limit int
		want  int // -1: refused
	}{
		{0, 0, -1}, {0, -1, -1}, {0, dbms.MaxBatch + 1, -1}, {-1, 1, -1},
		{0, 1, 1}, {0, 3, 3}, {0, len(all), len(all)}, {0, len(all) + 1, len(all)}, {0, dbms.MaxBatch, len(all)},
		{all[0].LSN, dbms.MaxBatch, len(all) - 1}, {all[len(all)-1].LSN, 1, 0}, {all[len(all)-1].LSN + 1000, 1, 0},
	} {
		what := fmt.Sprintf("changes after %d, limit %d", c.after, c.limit)
		got, err := d.Changes(t.Context(), c.after, c.limit)
		switch {
		case c.want < 0:
			wantKind(t, err, abi.Invalid, what)
		case err != nil:
			t.Errorf("%s: %v", what, err)
		case len(got) != c.want:
			t.Errorf("%s: %d commits, want %d", what, len(got), c.want)
		}
	}
	if last := d.Status().LastLSN; last != all[len(all)-1].LSN {
		t.Errorf("Status has last LSN %d, the last commit is %d", last, all[len(all)-1].LSN)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := d.Changes(ctx, 0, 1)
	wantKind(t, err, abi.Canceled, "changes with a cancelled context")
}

// examineFollowing reads Changes while writers commit: a reader that continues
// from the last LSN misses nothing and sees nothing twice.
func examineFollowing(t *testing.T, e Engine) {
	d := openAsync(t, e)
	createBoth(d)
	const writers = 4
	each := rounds(100)
	done := make(chan struct{})
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(4, uint64(w)))
			for i := range each {
				fn := bothHalves(int64(i*writers + w))
				if random.IntN(4) == 0 {
					_, fn = faults[0].spoil(fn)
				}
				if _, err := d.Update(t.Context(), examiner, fn); err != nil && err != errBoom {
					t.Errorf("update: %v", err)
				}
			}
		})
	}
	all.Go(func() { // definitions come and go meanwhile
		for i := range each / 10 {
			name := fmt.Sprint("passing", i)
			for _, sql := range []string{
				"CREATE TABLE " + name + " (v bigint)", "INSERT INTO " + name + " VALUES (1)", "ALTER TABLE " + name + " ADD COLUMN w bigint",
				"UPDATE " + name + " SET w = 2", "DROP TABLE " + name,
			} {
				if _, err := d.try(sql); err != nil {
					t.Errorf("%s: %v", sql, err)
				}
			}
		}
	})
	go func() { all.Wait(); close(done) }()
	r := newReplica(e)
	for ended := false; ; {
		commits, err := d.Changes(t.Context(), r.lsn, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commits {
			if err := r.apply(c); err != nil {
				t.Fatal(err)
			}
		}
		if len(commits) > 0 {
			continue
		}
		if ended {
			break
		}
		select {
		case <-done:
			ended = true // and once more
		default:
		}
	}
	d.compare(r)
}

// examineNoHistory: without history there are commits without changes.
func examineNoHistory(t *testing.T, e Engine) {
	d := open(t, e, dbms.Options{Durability: dbms.Async, NoHistory: true})
	createBoth(d)
	lsn := d.update(bothHalves(1))
	d.want(1, "SELECT n FROM total")
	commits := d.changes(d.Status().OldestLSN)
	for _, c := range commits {
		if len(c.Changes) > 0 {
			t.Errorf("commit %d has changes", c.LSN)
		}
	}
	if n := len(commits); n == 0 || commits[n-1].LSN != lsn {
		t.Errorf("the commit %d is not the last of %d in Changes", lsn, n)
	}
}

// examineHistorySwitched: nobody can read across the time for which there is
// no history, and after it history is exact again.
func examineHistorySwitched(t *testing.T, e Engine) {
	dir := t.TempDir()
	d := reopen(t, e, dir, dbms.Options{Durability: dbms.Async})
	createBoth(d)
	before := d.update(bothHalves(1))
	d.close()
	d = reopen(t, e, dir, dbms.Options{Durability: dbms.Async, NoHistory: true})
	d.update(bothHalves(2))
	d.exec("CREATE TABLE unseen (v bigint)")
	d.close()
	d = reopen(t, e, dir, dbms.Options{Durability: dbms.Async})
	defer d.close()
	_, err := d.Changes(t.Context(), before, 1)
	wantKind(t, err, abi.Trimmed, "changes across a time without history")
	oldest := d.Status().OldestLSN
	d.update(bothHalves(3))
	d.exec("INSERT INTO unseen VALUES (1)")
	commits := d.changes(oldest)
	n := 0
	for _, c := range commits {
		n += len(c.Changes)
	}
	if want := 3 + e.Dialect.KeylessUpdate; len(commits) != 2 || n != want {
		t.Errorf("history after it was on again: %d commits with %d changes, want 2 with %d", len(commits), n, want)
	}
}

// examineManyChanges: one transaction may change more rows than MaxBatch.
func examineManyChanges(t *testing.T, e Engine) {
	d := openAsync(t, e)
	d.exec("CREATE TABLE t (i bigint PRIMARY KEY NOT NULL, v bigint)")
	after := d.Status().LastLSN
	const n = dbms.MaxBatch + 1
	d.exec("INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i, -i FROM n", n)
	commits, err := d.Changes(t.Context(), after, 1)
	if err != nil || len(commits) != 1 || len(commits[0].Changes) != n {
		t.Errorf("got %d commits, error %v; want one with %d changes", len(commits), err, n)
	}
}
