package dbmstest

import (
	"strings"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// examineCalls: every commit says who called what, when, where and why.
func examineCalls(t *testing.T, e Engine) {
	const node = "node-7"
	d := open(t, e, dbms.Options{Durability: dbms.Async, Node: node})
	if d.Status().Node != node {
		t.Errorf("Status has node %q, want %q", d.Status().Node, node)
	}
	d.exec("CREATE TABLE t (v bigint)")
	longest := strings.Repeat("ü", abi.MaxName/2)
	start := time.Date(2001, 2, 3, 4, 5, 6, 789_123_000, time.UTC)
	for _, call := range []abi.Call{
		{Procedure: "a.b"},
		{Procedure: longest, Principal: "user:ada", Execution: longest, Step: 3, Node: "elsewhere", Start: start},
		{Procedure: "x", Principal: abi.System, Execution: "run'1", Start: start.In(time.FixedZone("", 3600))},
		{Procedure: "ünï \"code\"", Step: 0, Execution: "e", Node: node},
	} {
		examineCall(t, d, call, e.clockError())
	}
	t.Run("nothing done", func(t *testing.T) {
		before := d.Status().LastLSN
		lsn := d.update(func(dbms.Tx) error { return nil })
		commits := d.changes(before)
		if len(commits) != 1 || commits[0].LSN != lsn || len(commits[0].Changes) != 0 {
			t.Errorf("a transaction that does nothing is %+v in Changes, want commit %d without changes", commits, lsn)
		}
	})
}

// clockError is how far an engine's clock may be from this machine's: one on
// the network has its server's.
func (e Engine) clockError() time.Duration {
	if e.Directory {
		return 0
	}
	return 10 * time.Millisecond
}

func examineCall(t *testing.T, d *database, call abi.Call, clockError time.Duration) {
	before := d.Status().LastLSN
	earliest := time.Now().Truncate(time.Microsecond).Add(-clockError)
	var now time.Time
	lsn, err := d.Update(t.Context(), call, func(tx dbms.Tx) error {
		now = tx.Now()
		return run("INSERT INTO t VALUES (1)")(tx)
	})
	if err != nil {
		t.Fatalf("%+v: %v", call, err)
	}
	commits := d.changes(before)
	if len(commits) != 1 || commits[0].LSN != lsn || len(commits[0].Changes) != 1 {
		t.Fatalf("%+v: Changes gives %+v, want commit %d with one change", call, commits, lsn)
	}
	got := commits[0].Call
	if call.Start.IsZero() {
		if got.Start.Before(earliest) || got.Start.After(time.Now().Add(clockError)) {
			t.Errorf("the start that the engine fills in is %v, the call was after %v", got.Start, earliest)
		}
		call.Start = got.Start
	}
	if call.Node == "" {
		call.Node = d.Status().Node
	}
	if !got.Start.Equal(call.Start) {
		t.Errorf("recorded start %v, want %v", got.Start, call.Start)
	}
	got.Start = call.Start
	if got != call {
		t.Errorf("recorded call %+v, want %+v", got, call)
	}
	if at := commits[0].Time; !at.Equal(now) || at.Location() != time.UTC || now.Location() != time.UTC || now.Nanosecond()%1000 != 0 {
		t.Errorf("recorded time %v, Tx.Now was %v; want the same, in UTC with microseconds", at, now)
	}
}
