package dbmstest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// examineGroup runs many transactions at once, so that an engine which
// commits several together does so, and fails some of them in every way. What
// is left must be exactly the work of those that returned nil.
func examineGroup(t *testing.T, e Engine) {
	const callers = 8
	d := openImpatient(t, e)
	base := d.Status().LastLSN
	faults := slices.Concat(faults, e.Dialect.rollback())
	var all sync.WaitGroup
	committed := make([][]int64, callers)
	for caller := range callers {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(caller)))
			for i := range rounds(120) {
				id := int64(i*callers + caller)
				if runOne(t, d, random, faults, id, i == 10 && caller < 2) {
					committed[caller] = append(committed[caller], id)
				}
			}
		})
	}
	finally(t, "the transactions", all.Wait)
	want := slices.Sorted(slices.Values(slices.Concat(committed...)))
	if len(want) == 0 {
		t.Fatal("no transaction has committed")
	}
	checkHalves(t, d, want)
	checkCommits(t, d.changes(base), want, 2+e.Dialect.KeylessUpdate)
}

// runOne runs transaction id, half the time with a fault, and reports whether
// it has committed.
func runOne(t *testing.T, d *database, random *rand.Rand, faults []fault, id int64, late bool) bool {
	call := abi.Call{Procedure: "examiner.group", Execution: fmt.Sprint(id)}
	work := bothHalves(id)
	if late {
		release := make(chan struct{})
		defer close(release)
		o := attempt(t.Context(), d, call, func(tx dbms.Tx) error {
			if err := work(tx); err != nil {
				return err
			}
			<-release
			return nil
		})
		wantKind(t, o.err, abi.Timeout, "a function that never returns")
		return o.ok()
	}
	switch random.IntN(4) {
	case 0, 1:
		return attempt(t.Context(), d, call, work).ok()
	case 2:
		ctx, cancel := context.WithCancel(t.Context())
		o := attempt(ctx, d, call, func(tx dbms.Tx) error {
			err := work(tx)
			if err == nil {
				cancel() // too late to stop it, also if it has to run again
			}
			return err
		})
		if o.err != nil && abi.KindOf(o.err) != abi.Timeout {
			t.Errorf("transaction %d, whose context ended with its function: %v", id, o.err)
		}
		return o.ok()
	}
	f := faults[random.IntN(len(faults))]
	ctx, fn := f.spoil(work)
	o := attempt(ctx, d, call, fn)
	if o.ok() {
		t.Errorf("transaction %d has committed in spite of %q", id, f.name)
	}
	return o.ok()
}

// checkHalves compares the tables with the transactions that committed.
func checkHalves(t *testing.T, d *database, want []int64) {
	t.Helper()
	for half := range 2 {
		var got []int64
		d.view(func(tx dbms.Tx) error {
			got = nil
			return each(tx, dbms.SQL("SELECT id FROM parts WHERE half = $1 ORDER BY id"), func(r dbms.Rows) error {
				var id int64
				err := r.Scan(&id)
				got = append(got, id)
				return err
			}, half)
		})
		if !slices.Equal(got, want) {
			t.Errorf("half %d of the work: rows of %v, want those of %v", half, got, want)
		}
	}
	d.want(int64(len(want)), "SELECT n FROM total")
}

// checkCommits: each transaction that returned nil is one commit with all its
// changes, and there is no other.
func checkCommits(t *testing.T, commits []dbms.Commit, want []int64, changes int) {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range commits {
		if len(c.Changes) != changes {
			t.Errorf("commit %d of transaction %s has %d changes, want %d", c.LSN, c.Call.Execution, len(c.Changes), changes)
		}
		if seen[c.Call.Execution] {
			t.Errorf("transaction %s has two commits", c.Call.Execution)
		}
		seen[c.Call.Execution] = true
	}
	for _, id := range want {
		if !seen[fmt.Sprint(id)] {
			t.Errorf("transaction %d returned nil and Changes does not know it", id)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("%d transactions in Changes, %d returned nil", len(seen), len(want))
	}
}
