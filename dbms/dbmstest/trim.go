package dbmstest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// examineTrim: history can be forgotten from its beginning, and what is left
// continues exactly the state at which it begins.
func examineTrim(t *testing.T, e Engine) {
	t.Run("by time", func(t *testing.T) { examineTrimTime(t, e) })
	t.Run("by age", func(t *testing.T) { examineRetention(t, e) })
}

func examineTrimTime(t *testing.T, e Engine) {
	clock := newHandClock()
	d := open(t, e, clock.options())
	createBoth(d)
	script := []func(dbms.Tx) error{
		bothHalves(1), bothHalves(2),
		run("ALTER TABLE parts RENAME COLUMN half TO part"),
		run("CREATE TABLE short (v bigint)"), run("INSERT INTO short VALUES (1)"), run("DROP TABLE short"),
		run("ALTER TABLE total RENAME TO sums"), run("UPDATE sums SET n = n + 5"),
		run("CREATE TABLE short (w bigint, v bigint)"), run("INSERT INTO short VALUES (1, 2)"),
		run("DELETE FROM parts WHERE id = 1"), run("DELETE FROM short"),
	}
	r := newReplica(e)
	follow := func() {
		for _, c := range d.changes(r.lsn) {
			if err := r.apply(c); err != nil {
				t.Fatal(err)
			}
		}
	}
	for step, fn := range script {
		clock.add(time.Minute)
		lsn := d.update(fn)
		follow()
		if r.lsn < lsn {
			t.Fatalf("step %d: Changes ends at %d before commit %d", step, r.lsn, lsn)
		}
		// Everything up to the step before goes.
		oldest, err := d.Trim(t.Context(), clock.now())
		if err != nil {
			t.Fatalf("step %d: trim: %v", step, err)
		}
		if oldest >= lsn || oldest != d.Status().OldestLSN {
			t.Errorf("step %d: trimmed up to %d, Status has %d, the last commit before the time is before %d", step, oldest, d.Status().OldestLSN, lsn)
		}
		wantTrimmed(t, d, oldest)
		if again, err := d.Trim(t.Context(), clock.now().Add(-time.Hour)); err != nil || again != oldest {
			t.Errorf("step %d: trimming what is trimmed gives %d, %v; want %d", step, again, err, oldest)
		}
		follow()
		d.compare(r)
		commits := d.changes(oldest)
		if len(commits) == 0 || commits[0].LSN > lsn || commits[0].Time.Before(clock.now()) {
			t.Errorf("step %d: history after %d is %+v, want it to begin with commit %d", step, oldest, commits, lsn)
		}
	}
	d.want(2, "SELECT count(*) FROM parts")
	d.want(7, "SELECT n FROM sums")
	if lsn, err := d.Trim(t.Context(), time.Time{}); err != nil || lsn != d.Status().OldestLSN {
		t.Errorf("trim before year 1: LSN %d, error %v; want no change", lsn, err)
	}
}

// wantTrimmed: what was trimmed cannot be asked, and the error says from where
// on one can.
func wantTrimmed(t *testing.T, d *database, oldest dbms.LSN) {
	t.Helper()
	if oldest == 0 {
		return
	}
	_, err := d.Changes(t.Context(), oldest-1, 1)
	wantKind(t, err, abi.Trimmed, "changes after a trimmed LSN")
	if e, ok := errors.AsType[*abi.Error](err); ok && !strings.Contains(e.Error()+e.Hint, fmt.Sprint(oldest)) {
		t.Errorf("the error %q, hint %q, does not name the oldest LSN %d", e, e.Hint, oldest)
	}
}

// examineRetention: the engine forgets by itself what is older than the
// retention time.
func examineRetention(t *testing.T, e Engine) {
	clock := newHandClock()
	o := clock.options()
	o.Retention = time.Minute
	d := open(t, e, o)
	createBoth(d)
	first := d.update(bothHalves(1))
	clock.add(time.Hour)
	deadline := time.After(patience)
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for d.Status().OldestLSN < first {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("history older than the retention time is there after %v", patience)
		}
	}
	wantTrimmed(t, d, d.Status().OldestLSN)
	d.want(2, "SELECT count(*) FROM parts")
}
