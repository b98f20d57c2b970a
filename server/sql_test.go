package server_test

import (
	"context"
	"math"
	"net"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/client"
	"github.com/dbos-go/dbos/server"
)

// endless is a query without an end, whose rows have 1 kB.
const endless = "with recursive c(n) as (select 1 union all select n + 1 from c) select n, hex(zeroblob(500)) from c"

// all runs a query and returns its rows.
func all(ctx context.Context, c *client.Client, sql string, args ...any) ([][]any, error) {
	rows, err := c.Query(ctx, sql, args...)
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

func mustExec(t *testing.T, n *node, sql string, args ...any) client.Result {
	t.Helper()
	res, err := n.Exec(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestValuesCrossTheWire(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	want := []any{nil, int64(math.MinInt64), 0.1, math.Inf(1), "snow ☃", "", []byte{0, 255}, []byte{}}
	got, err := all(ctx, n.Client, "select $1, $2, $3, $4, $5, $6, $7, $8", want...)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("got %#v, want %#v", got, want)
	}
	got, err = all(ctx, n.Client, "select cast(x'ff' as text)")
	if err != nil || !reflect.DeepEqual(got, [][]any{{"\xff"}}) {
		t.Errorf("text that is not UTF-8: got %#v, %v", got, err)
	}
}

func TestQueryStreamsInOrder(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	const count = 5_000
	rows, err := n.Query(ctx, endless+" limit $1", int64(count))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if got := strings.Join(rows.Columns(), " "); !strings.HasPrefix(got, "n ") {
		t.Errorf("the columns are %s", got)
	}
	i := int64(0)
	for rows.Next() {
		if i++; rows.Values()[0] != i {
			t.Fatalf("row %d has %v", i, rows.Values()[0])
		}
	}
	if rows.Err() != nil || i != count {
		t.Errorf("%d rows (%v), want %d", i, rows.Err(), count)
	}
}

func TestQueryOnlyReads(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	mustExec(t, n, "create table stock (item text primary key, n integer)")
	for _, sql := range []string{
		"insert into stock values ('hat', 1)",
		"insert into stock values ('hat', 1) returning n",
		"drop table stock",
		"pragma journal_mode = delete",
		"attach 'x.db' as x",
		"begin",
	} {
		_, err := all(ctx, n.Client, sql)
		wantKind(t, err, abi.Denied)
	}
	_, err := all(ctx, n.Client, "")
	wantKind(t, err, abi.Invalid)
	if got, err := all(ctx, n.Client, "select count(*) from stock"); err != nil || got[0][0] != int64(0) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestExec(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	mustExec(t, n, "create table stock (item text primary key, n integer)")
	if res := mustExec(t, n, "insert into stock values ($1, $2), ($3, $4)", "hat", int64(1), "shoe", nil); res.Changed != 2 || res.Columns != nil {
		t.Errorf("got %+v", res)
	}
	res := mustExec(t, n, "update stock set n = coalesce(n, 0) + 1 returning item, n")
	if want := [][]any{{"hat", int64(2)}, {"shoe", int64(1)}}; !reflect.DeepEqual(res.Rows, want) {
		t.Errorf("got %v, want %v", res.Rows, want)
	}
	if res := mustExec(t, n, "select n from stock where item = 'hat'"); !reflect.DeepEqual(res.Rows, [][]any{{int64(2)}}) {
		t.Errorf("a reading statement: got %v", res.Rows)
	}
	for _, tt := range []struct {
		sql     string
		changed int64
	}{
		{"-- all\n/* of them */ update stock set n = 0", 2},
		{"create table shelf (n integer)", 0},
		{"alter table shelf add column m", 0},
		{"insert into shelf (n) select n from stock", 2},
		{"with a as (select 1 as x) delete from shelf where n < (select x from a)", 2},
		{"drop table shelf", 0},
		{"delete from stock where 0", 0},
	} {
		if res := mustExec(t, n, tt.sql); res.Changed != tt.changed {
			t.Errorf("%s: %d rows changed, want %d", tt.sql, res.Changed, tt.changed)
		}
	}
	for _, sql := range []string{"delete from sched_task", "create table wf_mine (n)", "pragma synchronous = off"} {
		_, err := n.Exec(ctx, sql)
		wantKind(t, err, abi.Denied)
	}
	_, err := n.Exec(ctx, "insert into stock values ('hat', 1)")
	if err == nil {
		t.Error("a second hat was taken")
	}
}

func TestExecThatReturnsTooMuchChangesNothing(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	mustExec(t, n, "create table big (b blob)")
	_, err := n.Exec(ctx, "insert into big values (zeroblob($1)) returning b", int64(server.MaxReturned))
	wantKind(t, err, abi.Exhausted)
	if got, err := all(ctx, n.Client, "select count(*) from big"); err != nil || got[0][0] != int64(0) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestRowLimit(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	got, err := all(ctx, n.Client, "select zeroblob($1)", int64(server.MaxRow-64))
	if err != nil || len(got[0][0].([]byte)) != server.MaxRow-64 {
		t.Errorf("the largest row: %v", err)
	}
	_, err = all(ctx, n.Client, "select zeroblob($1)", int64(server.MaxRow))
	wantKind(t, err, abi.Exhausted)
}

func TestRequestLimit(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	_, err := all(ctx, n.Client, "select length($1)", make([]byte, server.MaxRequest))
	wantKind(t, err, abi.Exhausted)
	got, err := all(ctx, n.Client, "select length($1)", make([]byte, server.MaxRequest-1024))
	if err != nil || got[0][0] != int64(server.MaxRequest-1024) {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestVanishedClients hang up in the middle of a stream. Their queries must
// end: there are fewer places for queries than clients here.
func TestVanishedClients(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	for i := range 4 * runtime.GOMAXPROCS(0) {
		var conn net.Conn
		c := client.New(func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			var err error
			conn, err = d.DialContext(ctx, "unix", n.door.Addr())
			return conn, err
		})
		rows, err := c.Query(ctx, endless)
		if err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		if !rows.Next() {
			t.Fatalf("client %d: %v", i, rows.Err())
		}
		conn.Close()
		for rows.Next() {
		}
		wantKind(t, rows.Err(), abi.Unavailable)
		rows.Close()
	}
	if _, err := all(ctx, n.Client, "select 1"); err != nil {
		t.Fatal(err)
	}
}

// TestStalledClients stop reading. Their queries end when the time for a
// statement is over, and others get their places.
func TestStalledClients(t *testing.T) {
	n, ctx := newNode(t, "", server.StatementTime(100*time.Millisecond)), within(t)
	var stalled []*client.Rows
	for range max(2, runtime.GOMAXPROCS(0)) {
		// Rows so large that the buffers on the way are soon full.
		rows, err := n.Query(ctx, "select zeroblob(1000000) from ("+endless+")")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		stalled = append(stalled, rows)
	}
	for {
		_, err := all(ctx, n.Client, "select 1")
		if err == nil {
			break
		}
		wantKind(t, err, abi.Timeout) // in the queue for a place
	}
	for _, rows := range stalled {
		for rows.Next() {
		}
		if kind := abi.KindOf(rows.Err()); kind != abi.Timeout && kind != abi.Unavailable {
			t.Errorf("a stalled query ended with %v (%v)", rows.Err(), kind)
		}
	}
}

func TestStatementTime(t *testing.T) {
	n, ctx := newNode(t, "", server.StatementTime(50*time.Millisecond)), within(t)
	_, err := all(ctx, n.Client, "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c")
	wantKind(t, err, abi.Timeout)
	if abi.HintOf(err) == "" {
		t.Errorf("%v has no hint", err)
	}
}
