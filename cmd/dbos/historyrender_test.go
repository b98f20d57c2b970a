package main

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// at returns the moment so long before noon.
func at(lsn int64, d time.Duration) *dbosv1.Moment {
	return &dbosv1.Moment{Lsn: lsn, Time: timestamppb.New(noon.Add(-d))}
}

// printing returns a command that prints into a buffer.
func printing(t *testing.T, s screen) (*cli, *bytes.Buffer) {
	t.Helper()
	t.Setenv("TZ", "UTC")
	var b bytes.Buffer
	return &cli{out: &b, err: &b, screen: s, now: func() time.Time { return noon }}, &b
}

func someExternal(n int) []*dbosv1.ExternalStep {
	var steps []*dbosv1.ExternalStep
	for i := range n {
		s := &dbosv1.ExternalStep{Run: fmt.Sprintf("order-%d", 40+i/2), Seq: 2, Name: "charge", Output: `{"charged":20}`, At: before(10 * time.Minute)}
		if i%5 == 4 {
			s.Output, s.Failure = "", &dbosv1.Failure{Message: "the bank\nis closed"}
		}
		steps = append(steps, s)
	}
	return steps
}

func someRestore() *dbosv1.RestorePlan {
	return &dbosv1.RestorePlan{
		To: at(5123, 16*time.Minute), From: at(9000, time.Second),
		Tables: []*dbosv1.TableEffect{
			{Table: "sched_task", Changed: 2, Removed: 3, System: true},
			{Table: "prices", Changed: 12},
			{Table: "stock", Changed: 200, Restored: 3, Removed: 1},
			{Table: "untouched"},
			{Table: "coupons", Notes: []string{"made again"}},
		},
		Resumed: []*dbosv1.RunRef{
			{Id: "order-39", Workflow: "checkout", Now: dbosv1.RunState_RUN_STATE_SUCCEEDED, Then: dbosv1.RunState_RUN_STATE_RUNNING, Steps: 2},
		},
		Vanished: []*dbosv1.RunRef{
			{Id: "order-40", Workflow: "checkout", Now: dbosv1.RunState_RUN_STATE_RUNNING, Steps: 1},
			{Id: "order-41", Workflow: "checkout", Now: dbosv1.RunState_RUN_STATE_FAILED, Steps: 3},
		},
		External: someExternal(23),
		Warnings: []string{"column \x1b[31mcolor of prices was added since: its values stay"},
	}
}

func TestRestorePlan(t *testing.T) {
	for name, s := range map[string]screen{"restore-plan-100.txt": {width: 100}, "restore-plan-60.txt": {width: 60}} {
		c, b := printing(t, s)
		if err := c.printRestorePlan(someRestore(), &dbosv1.RestoreTarget{To: "16 minutes ago"}); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
	}
}

func TestRestored(t *testing.T) {
	c, b := printing(t, screen{width: 100})
	plan := someRestore()
	plan.Lsn, plan.AloneSeconds, plan.External = 9001, 0.84, nil
	target := &dbosv1.RestoreTarget{To: "16 minutes ago", Tables: []string{"prices", "odd 'name"}}
	if err := c.printRestored(plan, target, nil); err != nil {
		t.Fatal(err)
	}
	golden(t, "restored.txt", b.String())
	// Somebody has seen all but a row.
	for name, changed := range map[string]int64{"restored-as-shown.txt": 12, "restored.txt": 11} {
		c, b := printing(t, screen{width: 100})
		shown := someRestore()
		shown.External, shown.Tables[1].Changed = nil, changed
		if err := c.printRestored(plan, target, shown); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
	}
}

func TestRestoreThatChangesNothing(t *testing.T) {
	c, b := printing(t, screen{})
	plan := &dbosv1.RestorePlan{To: at(5123, time.Hour), From: at(9000, 0)}
	if err := c.printRestorePlan(plan, &dbosv1.RestoreTarget{App: "shop"}); err != nil {
		t.Fatal(err)
	}
	if err := c.printUndone(restoreText(plan.To.Lsn, nil), false); err != nil {
		t.Fatal(err)
	}
	if err := c.printRestored(plan, nil, nil); err != nil {
		t.Fatal(err)
	}
	golden(t, "restore-nothing.txt", b.String())
}

func someUndo() *dbosv1.UndoPlan {
	return &dbosv1.UndoPlan{
		From: at(9000, 0), Policy: dbosv1.UndoPolicy_UNDO_POLICY_CASCADE, Examined: 214, Innocent: 212,
		Chain: []*dbosv1.UndoLink{
			{Execution: "reprice-7", Name: "reprice", Principal: "token:mallory", Lsn: 6000, At: before(10 * time.Minute), Seed: true, Undone: true, Why: "named"},
			{Name: "shop.drain", Principal: "token:mallory", Lsn: 6010, At: before(9 * time.Minute), Seed: true, Undone: true},
			{Execution: "order-51", Name: "checkout", Principal: "os:ada", Lsn: 6100, At: before(8 * time.Minute), Undone: true, Follows: "reprice-7", Why: `it read another price of "hat"`},
			{Execution: "order-52", Name: "checkout", Principal: "os:ada", Lsn: 6200, At: before(8 * time.Minute), Follows: "order-51"},
		},
		Tables: []*dbosv1.TableEffect{{Table: "prices", Changed: 4}, {Table: "orders", Removed: 1}, {Table: "stock", Changed: 1, Restored: 2}},
		Conflicts: []*dbosv1.UndoConflict{
			{Table: "stock", Key: `["hat"]`, Execution: "order-52", Problem: "it would have been refused: stock below zero"},
			{Lsn: 6300, Problem: "its arguments were not recorded whole"},
		},
		External:  someExternal(1),
		Cancelled: []*dbosv1.RunRef{{Id: "reprice-8", Workflow: "reprice", Now: dbosv1.RunState_RUN_STATE_WAITING, Then: dbosv1.RunState_RUN_STATE_CANCELLED}},
	}
}

func TestUndoPlan(t *testing.T) {
	for name, s := range map[string]screen{"undo-plan-file.txt": {}, "undo-plan-80.txt": {width: 80}} {
		c, b := printing(t, s)
		if err := c.printUndoPlan(someUndo()); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
	}
}

func TestUndone(t *testing.T) {
	c, b := printing(t, screen{width: 100})
	plan := someUndo()
	plan.Lsn, plan.Id, plan.AloneSeconds, plan.Conflicts = 9001, "u1", 1.5, nil
	if err := c.printDone(plan, nil); err != nil {
		t.Fatal(err)
	}
	golden(t, "undone.txt", b.String())
	for name, changed := range map[string]int64{"undone-as-shown.txt": 4, "undone.txt": 5} {
		c, b := printing(t, screen{width: 100})
		shown := someUndo()
		shown.Conflicts, shown.Tables[0].Changed = nil, changed
		if err := c.printDone(plan, shown); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
	}
}

func TestReplayed(t *testing.T) {
	c, b := printing(t, screen{width: 100})
	v := &replayView{cli: c, d: c.document(), named: true, clear: func() {}}
	for _, r := range []*dbosv1.Replayed{
		{Id: "order-1", Workflow: "checkout", Steps: 3, Same: true},
		{Id: "order-2", Workflow: "checkout", Steps: 3, EndsDifferently: true, Recorded: `"receipt for hat"`, Replayed: "error: out of stock",
			Divergence: &dbosv1.Divergence{Seq: 1, Step: "reserve", Kind: "arguments", Statement: 2, Recorded: `$1 = 2`, Replayed: `$1 = 3`, Detail: "other arguments"}},
		{Id: "order-3", Workflow: "checkout", Steps: 3, Recorded: "1", Replayed: "1",
			Divergence: &dbosv1.Divergence{Seq: 2, Step: "pay", Kind: "step", Recorded: "pay", Replayed: "charge"}},
		{Id: "order-4", Workflow: "old", Skipped: &dbosv1.Failure{Message: "this program has no workflow old"}},
		{Id: "order-5", Workflow: "checkout", EndsDifferently: true, Recorded: "1", Replayed: "2", Divergence: &dbosv1.Divergence{Kind: "output", Recorded: "1", Replayed: "2"}},
	} {
		v.add(r)
	}
	if err := v.summary(&dbosv1.ReplayReport{Runs: 4, Same: 1, Diverged: 3, EndedDifferently: 2, Skipped: 1, Steps: 9, TookSeconds: 0.25}); err != nil {
		t.Fatal(err)
	}
	golden(t, "replayed.txt", b.String())
}

// TestReportsForPrograms keeps the JSON forms, which are a contract.
func TestReportsForPrograms(t *testing.T) {
	restore := someRestore()
	restore.External = someExternal(5)[3:]
	done := someUndo()
	done.Lsn, done.Id = 9001, "u1"
	conflict := abi.Errorf("prov.undo", abi.Conflict, "", "work followed").WithHint("choose a policy")
	for name, report := range map[string]any{
		"restore-plan.json": restoreOf(restore, true, nil),
		"undone.json":       undoOf(done, false, nil),
		"undo-refused.json": undoOf(nil, false, conflict),
		"forked.json":       forkOf(&dbosv1.ForkReport{Moment: at(5123, time.Minute), Location: "/x", Tables: []*dbosv1.ForkTable{{Name: "stock", Rows: 3, Checksum: "2c26"}}}),
		"replayed.json": replayedOf(&dbosv1.Replayed{Id: "order-2", Workflow: "checkout", Steps: 3, EndsDifferently: true, Recorded: "1", Replayed: "error: no",
			Divergence: &dbosv1.Divergence{Seq: 1, Step: "reserve", Kind: "rows", Statement: 2, Recorded: "1", Replayed: "0", Detail: "other rows"}}),
	} {
		c, b := printing(t, screen{})
		if err := c.printJSON(report); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
	}
}

func TestForked(t *testing.T) {
	c, b := printing(t, screen{width: 80})
	err := c.printFork(&dbosv1.ForkReport{
		Moment: at(5123, 16*time.Minute), Location: "/var/before", Unfinished: 2, Warnings: []string{"views are not carried over"},
		Tables: []*dbosv1.ForkTable{{Name: "orders", Rows: 120, Checksum: "9f86d081"}, {Name: "stock", Rows: 3, Checksum: "2c26b46b"}},
	}, "be fore")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "forked.txt", b.String())
}

func TestHistoryStatus(t *testing.T) {
	full := &dbosv1.HistoryServiceStatusResponse{
		Available: true, Directory: "/srv/shop/history", Oldest: at(1, 50*time.Hour), Position: at(8800, 3*time.Second), Behind: 200, LagSeconds: 2.5,
		Bytes: 12 << 20, Segments: 3, Tables: 34, Rows: 120_000, Versions: 1, Commits: 345, SpooledPerSecond: 254_321.7, RetentionSeconds: 72 * 3600,
		Gaps: []*dbosv1.HistoryGap{{After: at(100, 49*time.Hour), Until: at(300, 48*time.Hour)}},
	}
	broken := &dbosv1.HistoryServiceStatusResponse{
		Available: true, Directory: "d", RetentionSeconds: -1, Failure: &dbosv1.Error{Message: "no space left on device", Hint: "make room"},
	}
	none := &dbosv1.HistoryServiceStatusResponse{Unavailable: &dbosv1.Error{
		Message: "this build has no column store", Hint: "build it with gcc", Kind: dbosv1.ErrorKind(abi.Unsupported),
	}}
	c, b := printing(t, screen{})
	for _, st := range []*dbosv1.HistoryServiceStatusResponse{full, broken, none} {
		if err := c.printHistory(st); err != nil {
			t.Fatal(err)
		}
		b.WriteString("--\n")
	}
	c.json = true
	if err := c.printHistory(none); err != nil {
		t.Fatal(err)
	}
	golden(t, "history.txt", b.String())
}

func TestProgressText(t *testing.T) {
	for _, tt := range []struct {
		p    *dbosv1.Progress
		want string
	}{
		{nil, "restoring, for 3.0s"},
		{&dbosv1.Progress{Phase: "copying", Subject: "orders", Done: 1200, Total: 5000}, "restoring: copying orders, 1200 of 5000, for 3.0s"},
		{&dbosv1.Progress{Phase: "reading", Done: 12}, "restoring: reading, 12, for 3.0s"},
	} {
		if got := progressText("restoring", tt.p, 3*time.Second); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// TestMistakes shows the place of a mistake, and lets nothing look like more.
func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"Binder Error: no column \"x\"\n\nLINE 1: select x\n               ^": "dbos: Binder Error: no column \"x\"\n      LINE 1: select x\n                     ^\n",
		"odd \x1b[31m\ndbos: fake\n":                                          "dbos: odd \\x1b[31m\n      dbos: fake\n",
	} {
		var b bytes.Buffer
		printError(&b, abi.Errorf("warehouse.query", abi.Invalid, "", "%s", text), "dbos sql")
		if b.String() != want {
			t.Errorf("got %q, want %q", b.String(), want)
		}
	}
	var b bytes.Buffer
	printError(&b, abi.Errorf("dbms.view", abi.Invalid, "", "a\nb"), "dbos sql")
	if b.String() != "dbos: a⏎b\n" {
		t.Errorf("got %q", b.String())
	}
}

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{
		"order-42": "order-42", "": "''", "it's": `'it'\''s'`, "a b": "'a b'", "16 minutes ago": "'16 minutes ago'", "$HOME": "'$HOME'", "héllo": "'héllo'",
	} {
		if got := shellWord(word); got != want {
			t.Errorf("%q is %s, want %s", word, got, want)
		}
	}
}
