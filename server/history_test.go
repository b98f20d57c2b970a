package server_test

import (
	"context"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/client"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
	"github.com/dbos-go/dbos/server"
)

// needWarehouse skips a test in a build that has no column store.
func needWarehouse(t *testing.T, n *node) {
	t.Helper()
	st, err := n.HistoryStatus(within(t), false)
	if err != nil {
		t.Fatal(err)
	}
	if !st.Available && os.Getenv("DBOS_TEST_REQUIRE") != "" {
		t.Fatal(st.Unavailable.GetMessage())
	}
	if !st.Available {
		t.Skip(st.Unavailable.GetMessage())
	}
}

// allAt runs a query about a moment and returns its rows.
func allAt(ctx context.Context, c *client.Client, at, sql string, args ...any) ([][]any, error) {
	rows, err := c.QueryAt(ctx, at, sql, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list [][]any
	for rows.Next() {
		list = append(list, rows.Values())
	}
	return list, rows.Err()
}

func wantAt(t *testing.T, n *node, at, sql string, want ...any) {
	t.Helper()
	got, err := allAt(within(t), n.Client, at, sql)
	if err != nil {
		t.Errorf("%s at %q: %v", sql, at, err)
		return
	}
	if len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("%s at %q: got %v, want %v", sql, at, got, want)
	}
}

// stockNode is a node with a table that has had 1, 2 and 3 of a hat.
func stockNode(t *testing.T, opts ...server.Option) (n *node, lsns []int64) {
	t.Helper()
	n = newNode(t, "", opts...)
	needWarehouse(t, n)
	mustExec(t, n, "create table stock (item text primary key, n integer)")
	for i, sql := range []string{"insert into stock values ('hat', 1)", "update stock set n = 2", "update stock set n = 3"} {
		mustExec(t, n, sql)
		st, err := n.Status(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if lsns = append(lsns, st.LastLsn); i > 0 && lsns[i] <= lsns[i-1] {
			t.Fatalf("the LSNs are %v", lsns)
		}
	}
	return n, lsns
}

func TestQueryAt(t *testing.T) {
	n, lsns := stockNode(t)
	for i, lsn := range lsns {
		wantAt(t, n, fmt.Sprintf("LSN %d", lsn), "select n from stock", int64(i+1))
	}
	wantAt(t, n, "", "select n from stock", int64(3))
	rows, err := n.QueryAt(within(t), "now", "select 1::bigint as a, 2.50::decimal(9,2) as b, true as c, date '2026-05-17' as d, 170141183460469231731687303715884105727 as e where $1 = 'x'", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if got := fmt.Sprint(rows.Columns(), rows.Types()); got != "[a b c d e] [BIGINT DECIMAL(9,2) BOOLEAN DATE HUGEINT]" {
		t.Errorf("the columns are %s", got)
	}
	big127 := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 127), big.NewInt(1))
	want := []any{int64(1), "2.50", true, time.Date(2026, 5, 17, 0, 0, 0, 0, time.UTC), big127}
	if !rows.Next() || !reflect.DeepEqual(rows.Values(), want) {
		t.Errorf("got %v (%v), want %v", rows.Values(), rows.Err(), want)
	}
	if rows.At().GetLsn() < lsns[2] {
		t.Errorf("it was read at %v, after LSN %d", rows.At(), lsns[2])
	}
}

func TestDescribeAt(t *testing.T) {
	n, lsns := stockNode(t)
	d, err := n.DescribeAt(within(t), "", "select item, n from stock where n > $1 and item = $2")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(d.Columns[0].Name, d.Columns[0].Type, d.Columns[1].Name, d.Columns[1].Type); len(d.Params) != 2 || got != "itemVARCHARnBIGINT" {
		t.Errorf("got %v", d)
	}
	_, err = n.DescribeAt(within(t), fmt.Sprintf("LSN %d", lsns[0]), "select nonsense")
	wantKind(t, err, abi.Invalid)
	_, err = n.DescribeAt(within(t), "", "")
	wantKind(t, err, abi.Invalid)
}

// TestReadYourWrites asks right after each commit.
func TestReadYourWrites(t *testing.T) {
	n, _ := stockNode(t)
	for i := range 20 {
		mustExec(t, n, "update stock set n = $1", int64(100+i))
		wantAt(t, n, "", "select n from stock", int64(100+i))
	}
}

func TestQueryAtOnlyReads(t *testing.T) {
	n, _ := stockNode(t)
	for _, sql := range []string{
		"insert into stock values ('shoe', 1)", "delete from stock", "drop table stock", "create table x (a integer)",
		"attach 'x.db' as x", "copy stock to 'x.csv'", "copy (select 1) to 'x.parquet'", "set threads = 1", "install httpfs", "export database 'x'",
	} {
		if _, err := allAt(within(t), n.Client, "", sql); err == nil {
			t.Errorf("%s was taken", sql)
		}
	}
	_, err := allAt(within(t), n.Client, "", "")
	wantKind(t, err, abi.Invalid)
	_, err = allAt(within(t), n.Client, "", "select nonsense from nowhere")
	wantKind(t, err, abi.Invalid)
	wantAt(t, n, "", "select count(*) from stock", int64(1))
}

// TestMomentsThatAreNot are refused with the bounds.
func TestMomentsThatAreNot(t *testing.T) {
	n, _ := stockNode(t)
	for at, kinds := range map[string][]abi.Kind{
		"the other day":       {abi.Invalid, abi.NotFound}, // or a run's ID
		"LSN x":               {abi.Invalid},
		"25:99":               {abi.Invalid},
		"2999-01-01 00:00":    {abi.Invalid, abi.NotFound},
		"LSN 999999999999":    {abi.Invalid, abi.NotFound},
		"run:nobody":          {abi.NotFound},
		"1999-12-31 23:59:59": {abi.Trimmed, abi.NotFound, abi.Invalid},
	} {
		target := &dbosv1.RestoreTarget{To: at}
		for call, err := range map[string]error{
			"query":   second(allAt(within(t), n.Client, at, "select 1")),
			"resolve": second(n.Resolve(within(t), at)),
			"plan":    second(n.PlanRestore(within(t), target, nil)),
			"restore": second(n.Restore(within(t), target, nil)),
			"fork":    second(n.Fork(within(t), at, "file:"+filepath.Join(t.TempDir(), "fork"), nil)),
		} {
			found := false
			for _, kind := range kinds {
				found = found || err != nil && abi.KindOf(err) == kind
			}
			if !found {
				t.Errorf("%s at %q: got %v (%v), want one of %v", call, at, err, abi.KindOf(err), kinds)
			}
		}
	}
	wantAt(t, n, "", "select n from stock", int64(3))
}

func second[T any](_ T, err error) error { return err }

func TestRestoreThroughTheDoor(t *testing.T) {
	n, lsns := stockNode(t)
	if _, err := n.Restore(within(t), nil, nil); abi.KindOf(err) != abi.Invalid {
		t.Errorf("no target: got %v", err)
	}
	target := &dbosv1.RestoreTarget{To: fmt.Sprintf("LSN %d", lsns[0]), Tables: []string{"stock"}}
	plan, err := n.PlanRestore(within(t), target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Tables) != 1 || plan.Tables[0].Table != "stock" || plan.Tables[0].Changed != 1 || plan.Lsn != 0 || plan.To.Lsn != lsns[0] {
		t.Errorf("the plan is %v", plan)
	}
	wantAt(t, n, "", "select n from stock", int64(3))
	done, err := n.Restore(within(t), target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if done.Lsn <= lsns[2] || done.From.Lsn < lsns[2] {
		t.Errorf("it was done: %v", done)
	}
	wantAt(t, n, "", "select n from stock", int64(1))
	back := &dbosv1.RestoreTarget{To: fmt.Sprintf("LSN %d", done.From.Lsn), Tables: []string{"stock"}}
	if _, err := n.Restore(within(t), back, nil); err != nil {
		t.Fatal(err)
	}
	wantAt(t, n, "", "select n from stock", int64(3))
}

// TestRestoreBrokenOff asks for a restore and goes away at once: it is done
// whole, or not at all.
func TestRestoreBrokenOff(t *testing.T) {
	n, lsns := stockNode(t)
	target := &dbosv1.RestoreTarget{To: fmt.Sprintf("LSN %d", lsns[0]), Tables: []string{"stock"}}
	ctx, stop := context.WithCancel(within(t))
	stop()
	_, err := n.Restore(ctx, target, nil)
	wantKind(t, err, abi.Canceled)
	wantAt(t, n, "", "select n from stock", int64(3))
}

func TestForkThroughTheDoor(t *testing.T) {
	n, lsns := stockNode(t)
	dir := filepath.Join(t.TempDir(), "fork")
	made, err := n.Fork(within(t), fmt.Sprintf("LSN %d", lsns[1]), "file:"+dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if made.Moment.Lsn != lsns[1] {
		t.Errorf("the fork is %v", made)
	}
	sys, err := dbos.Open(t.Context(), "file:"+dir)
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	var got int64
	err = sys.View(t.Context(), func(tx *dbos.Tx) error { return tx.QueryRow("select n from stock").Scan(&got) })
	if err != nil || got != 2 {
		t.Errorf("the fork has %d (%v), want 2", got, err)
	}
	_, err = n.Fork(within(t), "now", "file:"+dir, nil)
	if kind := abi.KindOf(err); kind != abi.Exists && kind != abi.Conflict && kind != abi.Owned {
		t.Errorf("a fork into a directory with a system: got %v (%v)", err, kind)
	}
	for _, req := range [][2]string{{"", "file:x"}, {"now", ""}} {
		_, err := n.Fork(within(t), req[0], req[1], nil)
		wantKind(t, err, abi.Invalid)
	}
}

func TestUndoThroughTheDoor(t *testing.T) {
	n, lsns := stockNode(t)
	ctx := dbos.WithPrincipal(within(t), "token:mallory")
	err := n.sys.Update(ctx, "shop.drain", func(tx *dbos.Tx) error {
		_, err := tx.Exec("update stock set n = 0 where item = 'hat'")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, n, "insert into stock values ('shoe', 7)")
	target := &dbosv1.UndoTarget{Principal: "token:mallory", Since: fmt.Sprintf("LSN %d", lsns[2])}
	plan, err := n.PlanUndo(within(t), target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Chain) != 1 || !plan.Chain[0].Seed || plan.Chain[0].Principal != "token:mallory" || plan.Policy != dbosv1.UndoPolicy_UNDO_POLICY_CASCADE {
		t.Errorf("the plan is %v", plan)
	}
	if _, err := n.Undo(within(t), target, nil); err != nil {
		t.Fatal(err)
	}
	wantAt(t, n, "", "select (select n from stock where item = 'hat'), (select n from stock where item = 'shoe')", int64(3), int64(7))
	_, err = n.PlanUndo(within(t), &dbosv1.UndoTarget{Runs: []string{"nobody"}}, nil)
	wantKind(t, err, abi.NotFound)
	_, err = n.PlanUndo(within(t), &dbosv1.UndoTarget{Runs: []string{"x"}, Policy: 77}, nil)
	wantKind(t, err, abi.Invalid)
}

func TestReplayThroughTheDoor(t *testing.T) {
	n := newNode(t, "")
	needWarehouse(t, n)
	close(n.gate)
	for _, id := range []string{"a", "b"} {
		if _, err := n.Start(within(t), &dbosv1.StartRequest{Workflow: "gate", Input: `"open"`, Id: id}); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Wait(within(t), id); err != nil {
			t.Fatal(err)
		}
	}
	var seen []string
	report, err := n.Replay(within(t), &dbosv1.ReplayRequest{Runs: []string{"a", "b"}}, nil, func(r *dbosv1.Replayed) {
		seen = append(seen, fmt.Sprint(r.Id, " ", r.Same))
	})
	if err != nil {
		t.Fatal(err)
	}
	if report.Runs != 2 || report.Same != 2 || len(seen) != 2 {
		t.Errorf("the report is %v, of %v", report, seen)
	}
	_, err = n.Replay(within(t), &dbosv1.ReplayRequest{Limit: -1}, nil, nil)
	wantKind(t, err, abi.Invalid)
}

func TestHistoryStatusOfASystemWithoutAWarehouse(t *testing.T) {
	sys, err := dbos.Open(t.Context(), filepath.Join(t.TempDir(), "data"), dbos.NoWarehouse())
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	door, err := server.Serve(sys)
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	c, err := client.Dial(t.Context(), filepath.Dir(door.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	st, err := c.HistoryStatus(within(t), false)
	if err != nil || st.Available || st.Unavailable.GetMessage() == "" {
		t.Errorf("got %v, %v", st, err)
	}
	_, err = allAt(within(t), c, "", "select 1")
	wantKind(t, err, abi.Unsupported)
	_, err = c.Restore(within(t), &dbosv1.RestoreTarget{To: "now"}, nil)
	wantKind(t, err, abi.Unsupported)
}
