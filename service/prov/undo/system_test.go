package undo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/dbmstest"
	"github.com/dbos-go/dbos/dbms/footprint"
	"github.com/dbos-go/dbos/service/prov"
	"github.com/dbos-go/dbos/warehouse"
	"pgregory.net/rapid"
)

// runTables stand for those of the services that have runs.
var runTables = []string{
	`CREATE TABLE sched_task (seq bigint NOT NULL DEFAULT 0, id text NOT NULL PRIMARY KEY, name text NOT NULL, version text NOT NULL, state text NOT NULL, principal text NOT NULL)`,
	`CREATE TABLE wf_step (execution text NOT NULL, seq bigint NOT NULL, kind text NOT NULL, name text NOT NULL, output text, error text, finished_at bigint NOT NULL, PRIMARY KEY (execution, seq))`,
}

// A system is a database with its history in a warehouse.
type system struct {
	db      dbms.DB
	prov    *prov.Service
	scratch Scratch
	ddl     []string
}

// onSystems runs a test on a new system of each engine.
func onSystems(t *testing.T, ddl []string, test func(t *testing.T, y *system)) {
	switch {
	case warehouse.Supported:
	case os.Getenv("DBOS_TEST_REQUIRE") != "":
		t.Fatal("this build has no column store; build with cgo and gcc")
	default:
		t.Skip("this build has no column store; build with cgo and gcc")
	}
	for _, e := range dbmstest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			e.Need(t)
			test(t, newSystem(t, e, ddl))
		})
	}
}

func newSystem(t *testing.T, e dbmstest.Engine, ddl []string) *system {
	open := func(ctx context.Context, o dbms.Options) (dbms.DB, error) {
		o.Durability, o.Retention = dbms.Async, -1
		return e.Open(ctx, t.TempDir(), o)
	}
	y := &system{ddl: ddl}
	var err error
	if y.db, err = open(t.Context(), dbms.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { y.db.Close() })
	if y.prov, err = prov.New(t.Context(), y.db); err != nil {
		t.Fatal(err)
	}
	if err := y.prov.Start(t.Context(), prov.Options{Dir: t.TempDir(), Memory: 256 << 20, Threads: 2}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { y.prov.Close() })
	y.scratch = func(ctx context.Context) (dbms.DB, func() error, error) {
		db, err := open(ctx, dbms.Options{NoHistory: true})
		if err != nil {
			return nil, nil, err
		}
		if _, err := prov.New(ctx, db); err != nil {
			return nil, nil, err
		}
		return db, db.Close, define(ctx, db, runTables, dbms.System)
	}
	if err := errors.Join(define(t.Context(), y.db, runTables, dbms.System), define(t.Context(), y.db, ddl, dbms.SQL)); err != nil {
		t.Fatal(err)
	}
	return y
}

func define(ctx context.Context, db dbms.DB, list []string, query func(string) *dbms.Query) error {
	_, err := db.Update(ctx, abi.Call{Procedure: "define"}, func(tx dbms.Tx) error {
		for _, sql := range list {
			if _, err := tx.Exec(query(sql)); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// do commits lines with their footprint; false means that they failed.
func (y *system) do(t failer, call abi.Call, lines ...line) bool {
	if call.Procedure == "" {
		call.Procedure = "test.do"
	}
	_, err := y.db.Update(context.Background(), call, func(tx dbms.Tx) error {
		done, err := perform(tx, lines)
		if err != nil {
			return err
		}
		texts := y.prov.Texts()
		var print footprint.Footprint
		for _, st := range done {
			id := footprint.TextID(st.text)
			if err := texts.Remember(tx, id, st.text); err != nil {
				return err
			}
			print.Statements = append(print.Statements, footprint.Statement{Text: id, Args: st.args, Rows: st.rows, Writes: !returns(st.text)})
		}
		tx.Record(print.Encode())
		return nil
	})
	if errors.Is(err, abi.Unavailable) || errors.Is(err, abi.Closed) {
		t.Fatal(err)
	}
	return err == nil
}

// by is the call of an execution.
func by(execution string) abi.Call {
	return abi.Call{Execution: execution, Principal: abi.Principal("user:" + execution)}
}

func (y *system) must(t *testing.T, call abi.Call, lines ...line) {
	t.Helper()
	if !y.do(t, call, lines...) {
		t.Fatalf("%v failed: %v", call, lines)
	}
}

// system runs a statement of the services.
func (y *system) service(t *testing.T, call abi.Call, text string, args ...any) {
	t.Helper()
	call.Procedure = "sched.test"
	_, err := y.db.Update(t.Context(), call, func(tx dbms.Tx) error {
		_, err := tx.Exec(dbms.System(text), args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// dump is the rows of the application's tables, as text.
func dump(t failer, db dbms.DB, tables ...string) string {
	var list []string
	err := db.View(context.Background(), func(tx dbms.Tx) error {
		list = nil
		for _, name := range tables {
			err := each(tx, dbms.SQL("SELECT * FROM "+name), func(r []dbms.Value) error {
				list = append(list, fmt.Sprint(name, row(r)))
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

func wantRows(t *testing.T, y *system, tables []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := dump(t, y.db, tables...); got != strings.Join(want, "\n") {
		t.Errorf("the rows are\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// attack is a story: prices and stock, somebody bad, and others.
func attack(t *testing.T, y *system) {
	y.must(t, by("base"), sql(`INSERT INTO item VALUES (1, 10, 100), (2, 20, 100)`), sql(`INSERT INTO counter VALUES ('orders', 0)`))
	y.service(t, by("bad"), `INSERT INTO sched_task (id, name, version, state, principal) VALUES ('bad', 'reprice', 'v7', 'running', 'user:bad')`)
	y.must(t, by("bad"), sql(`UPDATE item SET price = 1 WHERE id = 1`), sql(`UPDATE item SET stock = stock - 80 WHERE id = 2`))
	y.service(t, by("bad"), `INSERT INTO wf_step VALUES ('bad', 1, 'step', 'mail', '"sent"', NULL, 1000000)`)
	y.must(t, by("ada"), sql(`SELECT price FROM item WHERE id = 2`), sql(`UPDATE item SET stock = stock - 1 WHERE id = 2`),
		sql(`INSERT INTO orders VALUES (1, 2, 1, 20)`), sql(`UPDATE counter SET n = n + 1 WHERE name = 'orders'`))
	y.must(t, by("bob"), sql(`SELECT price FROM item WHERE id = 1`), sql(`INSERT INTO orders VALUES (2, 1, 1, 1)`),
		sql(`UPDATE counter SET n = n + 1 WHERE name = 'orders'`))
}

var shopNames = []string{"item", "orders", "counter"}

func TestUndo(t *testing.T) {
	onSystems(t, shopTables, func(t *testing.T, y *system) {
		attack(t, y)
		before := dump(t, y.db, shopNames...)
		var cancelled []string
		o := Options{Runs: []string{"bad"}, By: "user:ops", Cancel: func(_ dbms.Tx, run string) (bool, error) {
			cancelled = append(cancelled[:0], run)
			return true, nil
		}}
		p, err := PlanUndo(t.Context(), y.prov, y.scratch, o)
		if err != nil {
			t.Fatal(err)
		}
		if dump(t, y.db, shopNames...) != before {
			t.Error("the plan has changed rows")
		}
		checkPlan(t, p)
		done, err := Do(t.Context(), y.prov, y.scratch, o)
		if err != nil {
			t.Fatal(err)
		}
		checkPlan(t, done)
		if done.LSN == 0 || done.ID == "" || !slices.Equal(cancelled, []string{"bad"}) {
			t.Errorf("LSN %d, ID %q, cancelled %v", done.LSN, done.ID, cancelled)
		}
		wantRows(t, y, shopNames, "item[1 10 100]", "item[2 20 99]", "orders[1 2 1 20]", "counter[orders 1]")
		wantRows(t, y, []string{"(SELECT execution, principal FROM prov_undo) AS u"},
			"(SELECT execution, principal FROM prov_undo) AS u[bad user:ops]", "(SELECT execution, principal FROM prov_undo) AS u[bob user:ops]")

		if again, err := Do(t.Context(), y.prov, y.scratch, o); err != nil || len(again.Tables) != 0 {
			t.Errorf("undone twice: %+v, %v; want no rows", again, err)
		}
		// And back again: the undo is a commit like any other.
		_, err = y.prov.Restore(t.Context(), prov.RestoreOptions{To: fmt.Sprintf("LSN %d", done.From.LSN), Tables: shopNames})
		if err != nil {
			t.Fatal(err)
		}
		if got := dump(t, y.db, shopNames...); got != before {
			t.Errorf("after the undo of the undo the rows are\n%s\nwant\n%s", got, before)
		}
		if _, err := Do(t.Context(), y.prov, y.scratch, o); err != nil {
			t.Fatal(err)
		}
		wantRows(t, y, shopNames, "item[1 10 100]", "item[2 20 99]", "orders[1 2 1 20]", "counter[orders 1]")
	})
}

func checkPlan(t *testing.T, p *Plan) {
	t.Helper()
	text, _ := json.Marshal(p)
	var chain []string
	for _, l := range p.Chain {
		chain = append(chain, fmt.Sprintf("%s %v %v %s", l.Execution, l.Seed, l.Undone, l.Follows))
	}
	if !slices.Equal(chain, []string{"bad true true ", "bob false true bad"}) {
		t.Errorf("the chain is %q: %s", chain, text)
	}
	var tables []string
	for _, r := range p.Tables {
		tables = append(tables, fmt.Sprint(r.Name, r.Applied))
	}
	if !slices.Equal(tables, []string{"counter{1 0 0}", "item{2 0 0}", "orders{0 0 1}"}) {
		t.Errorf("the tables are %v: %s", tables, text)
	}
	if len(p.External) != 1 || p.External[0].Name != "mail" || p.External[0].Output != `"sent"` {
		t.Errorf("external steps: %+v", p.External)
	}
	if len(p.Unfinished) != 1 || p.Unfinished[0].ID != "bad" {
		t.Errorf("unfinished: %+v", p.Unfinished)
	}
	if p.Examined != 2 || p.Innocent != 1 || len(p.Conflicts) != 0 {
		t.Errorf("examined %d, innocent %d, conflicts %v", p.Examined, p.Innocent, p.Conflicts)
	}
}

func TestUndoPolicies(t *testing.T) {
	onSystems(t, shopTables, func(t *testing.T, y *system) {
		attack(t, y)
		before := dump(t, y.db, shopNames...)
		o := Options{Principal: "user:bad", Policy: Abort}
		p, err := Do(t.Context(), y.prov, y.scratch, o)
		if !errors.Is(err, abi.Conflict) || p == nil || len(p.Chain) != 2 {
			t.Errorf("abort gives %+v, %v; want a conflict and the plan", p, err)
		}
		if got := dump(t, y.db, shopNames...); got != before {
			t.Errorf("abort has changed rows:\n%s", got)
		}
		o = Options{Function: "reprice@v7", Policy: OnlyUntouched}
		p, err = Do(t.Context(), y.prov, y.scratch, o)
		if err != nil {
			t.Fatal(err)
		}
		wantRows(t, y, shopNames, "item[1 1 100]", "item[2 20 99]", "orders[1 2 1 20]", "orders[2 1 1 1]", "counter[orders 2]")
		if len(p.Conflicts) != 1 || p.Conflicts[0].Table != "item" || p.Conflicts[0].Key != "1" || p.Conflicts[0].Execution != "bob" {
			t.Errorf("conflicts: %+v", p.Conflicts)
		}
	})
}

func TestUndoRefuses(t *testing.T) {
	onSystems(t, shopTables, func(t *testing.T, y *system) {
		attack(t, y)
		y.service(t, abi.Call{}, `INSERT INTO sched_task (id, name, version, state, principal) VALUES ('idle', 'reprice', 'v8', 'queued', 'user:ada')`)
		before := dump(t, y.db, shopNames...)
		for _, tt := range []struct {
			o    Options
			kind abi.Kind
			says string
		}{
			{Options{}, abi.Invalid, "nothing is named"},
			{Options{Runs: []string{"bad"}, Policy: "x"}, abi.Invalid, "policy"},
			{Options{Runs: []string{"bad"}, Since: "now"}, abi.Invalid, "as a whole"},
			{Options{Runs: []string{""}}, abi.Invalid, "run name"},
			{Options{Runs: []string{"nobody"}}, abi.NotFound, "run nobody"},
			{Options{Runs: []string{"idle"}}, abi.NotFound, "nothing yet"},
			{Options{Principal: "user:nobody"}, abi.NotFound, "user:nobody"},
			{Options{Function: "none"}, abi.NotFound, "function none"},
			{Options{Function: "reprice@v9"}, abi.NotFound, "reprice@v9"},
			{Options{Principal: "user:bad", Since: "in a moment, perhaps, or never"}, abi.NotFound, ""},
		} {
			for name, do := range map[string]func(context.Context, *prov.Service, Scratch, Options) (*Plan, error){"plan": PlanUndo, "do": Do} {
				if _, err := do(t.Context(), y.prov, y.scratch, tt.o); !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%s of %+v: %v, want %q of kind %v", name, tt.o, err, tt.says, tt.kind)
				}
			}
		}
		if got := dump(t, y.db, shopNames...); got != before {
			t.Errorf("something changed:\n%s", got)
		}
	})
}

// TestUndoOneAfterTheOther: what was innocent at the first undo can be undone by
// a second, and what the first took back stays away.
func TestUndoOneAfterTheOther(t *testing.T) {
	onSystems(t, shopTables, func(t *testing.T, y *system) {
		y.must(t, by("base"), sql(`INSERT INTO item VALUES (1, 10, 100), (2, 20, 100)`))
		y.must(t, by("bad"), sql(`UPDATE item SET stock = stock - 50 WHERE id = 1`), sql(`DELETE FROM item WHERE id = 2`))
		y.must(t, by("good"), sql(`UPDATE item SET stock = stock - 2 WHERE id = 1`))
		y.must(t, by("ada"), sql(`UPDATE item SET stock = stock - 1 WHERE id = 1`))
		undo := func(run string, rows ...string) {
			t.Helper()
			p, err := Do(t.Context(), y.prov, y.scratch, Options{Runs: []string{run}})
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Chain) != 1 || len(p.Conflicts)+len(p.Warnings) > 0 {
				t.Errorf("%s: chain %v, conflicts %v, warnings %v", run, p.Chain, p.Conflicts, p.Warnings)
			}
			wantRows(t, y, []string{"item"}, rows...)
		}
		undo("bad", "item[1 10 97]", "item[2 20 100]")
		y.must(t, by("eve"), sql(`UPDATE item SET stock = stock - 4 WHERE id = 1`))
		undo("good", "item[1 10 95]", "item[2 20 100]")
		undo("ada", "item[1 10 96]", "item[2 20 100]")
		undo("eve", "item[1 10 100]", "item[2 20 100]")
	})
}

// TestUndoUnderLoad: what honest workers do while it is planned and done is not
// lost.
func TestUndoUnderLoad(t *testing.T) {
	onSystems(t, shopTables, func(t *testing.T, y *system) {
		attack(t, y)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		sold := make([]int, 4)
		started := make(chan struct{}, len(sold))
		for n := range sold {
			wg.Go(func() {
				for ctx.Err() == nil && sold[n] < 40 {
					id := 1000*(n+1) + sold[n]
					if y.do(t, by(fmt.Sprint("w", id)), sql(`UPDATE item SET stock = stock - 1 WHERE id = 2`), sql(`INSERT INTO orders VALUES ($1, 2, 1, 20)`, id)) {
						if sold[n]++; sold[n] == 5 {
							started <- struct{}{}
						}
					}
				}
			})
		}
		for range sold {
			<-started
		}
		p, err := Do(t.Context(), y.prov, y.scratch, Options{Runs: []string{"bad"}})
		stop()
		wg.Wait()
		if err != nil {
			t.Fatal(err)
		}
		total := 1 // ada's
		for _, n := range sold {
			total += n
		}
		wantRows(t, y, []string{"item"}, "item[1 10 100]", fmt.Sprintf("item[2 20 %d]", 100-total))
		if got := strings.Count(dump(t, y.db, "orders"), "\n") + 1; got != total {
			t.Errorf("%d orders, want %d", got, total)
		}
		t.Logf("%d orders meanwhile; %d run again; alone for %v", total, p.Examined, p.Took)
	})
}

// TestColumnAddedSince: rows from before a column have its default.
func TestColumnAddedSince(t *testing.T) {
	onSystems(t, []string{`CREATE TABLE item (id bigint NOT NULL PRIMARY KEY, price bigint NOT NULL)`}, func(t *testing.T, y *system) {
		y.must(t, by("base"), sql(`INSERT INTO item VALUES (1, 10), (2, 20), (3, 30)`))
		y.must(t, by("bad"), sql(`UPDATE item SET price = 1 WHERE id = 1`), sql(`DELETE FROM item WHERE id = 2`))
		_, err := y.db.Update(t.Context(), abi.Call{Procedure: "alter"}, func(tx dbms.Tx) error {
			_, err := tx.Exec(dbms.SQL(`ALTER TABLE item ADD COLUMN stock bigint NOT NULL DEFAULT 7`))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		y.must(t, by("ada"), sql(`UPDATE item SET stock = stock + 1 WHERE id = 1`))
		if _, err := Do(t.Context(), y.prov, y.scratch, Options{Runs: []string{"bad"}}); err != nil {
			t.Fatal(err)
		}
		wantRows(t, y, []string{"item"}, "item[1 10 8]", "item[2 20 7]", "item[3 30 7]")
	})
}

// TestUndoRandomShops: end to end, what is left is what everybody else's
// statements leave on a database of their own.
func TestUndoRandomShops(t *testing.T) {
	onSystems(t, shopTables, func(t *testing.T, y *system) {
		rounds, most := 0, 12
		if testing.Short() || y.db.Status().Engine == "postgres" {
			most = 3
		}
		rapid.Check(t, func(r *rapid.T) {
			if rounds++; rounds > most {
				return // each costs a copy
			}
			prefix := fmt.Sprintf("r%d.", rounds)
			l := &recorded{y: y, prefix: prefix}
			l.empty(r)
			l.history(r)
			p, err := Do(t.Context(), y.prov, y.scratch, Options{Runs: []string{prefix + "x0"}})
			if errors.Is(err, abi.NotFound) {
				return
			}
			if err != nil {
				r.Fatal(err)
			}
			got := dump(r, y.db, shopNames...)
			undone := map[string]bool{}
			for _, k := range p.Chain {
				undone[k.Execution] = k.Undone
			}
			l.again(r, undone)
			if want := dump(r, y.db, shopNames...); got != want {
				r.Fatalf("undone %v, the rows are\n%s\nwant\n%s", undone, got, want)
			}
		})
	})
}

// recorded is a round of random transactions.
type recorded struct {
	y      *system
	prefix string
	list   []recordedDo
}

type recordedDo struct {
	execution string
	lines     []line
}

func (l *recorded) empty(t failer) {
	if !l.y.do(t, by(l.prefix+"empty"), sql(`DELETE FROM orders`), sql(`DELETE FROM counter`), sql(`DELETE FROM item`)) {
		t.Fatal("the tables are not empty")
	}
}

func (l *recorded) do(t failer, execution string, lines ...line) {
	if l.y.do(t, by(l.prefix+execution), lines...) {
		l.list = append(l.list, recordedDo{l.prefix + execution, lines})
	}
}

func (l *recorded) history(t *rapid.T) {
	l.do(t, "base", sql(`INSERT INTO item (id, price, stock) VALUES (1, 5, 100), (2, 7, 50), (3, 9, 10)`), sql(`INSERT INTO counter (name, n) VALUES ('a', 0)`))
	for i := range rapid.IntRange(3, 20).Draw(t, "transactions") {
		var lines []line
		for range rapid.IntRange(1, 3).Draw(t, "lines") {
			lines = append(lines, shopLine(t, 10*i+len(lines)))
		}
		l.do(t, fmt.Sprint("x", rapid.IntRange(0, 6).Draw(t, "execution")), lines...)
	}
}

// again does the round again without some.
func (l *recorded) again(t failer, undone map[string]bool) {
	list := l.list
	l.prefix += "again."
	l.empty(t)
	for _, d := range list {
		if !undone[d.execution] && !l.y.do(t, by(l.prefix+d.execution), d.lines...) {
			t.Fatalf("%s is left, and fails", d.execution)
		}
	}
}
