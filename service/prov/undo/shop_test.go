package undo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/dbmstest"
	"pgregory.net/rapid"
)

// shopTables are an application's, in words that both engines understand.
var shopTables = []string{
	`CREATE TABLE item (id bigint NOT NULL PRIMARY KEY, price bigint NOT NULL, stock bigint NOT NULL)`,
	`CREATE TABLE orders (id bigint NOT NULL PRIMARY KEY, item bigint NOT NULL REFERENCES item (id) ON DELETE CASCADE, qty bigint NOT NULL, amount bigint NOT NULL)`,
	`CREATE TABLE counter (name text NOT NULL PRIMARY KEY, n bigint NOT NULL)`,
}

// A ledger is a database whose transactions are recorded, by the test itself,
// with a scratch database for undoing and one to do them again.
type ledger struct {
	db, scratch, again, wide dbms.DB

	ddl     []string
	start   dbms.LSN // of the round: the tables are empty
	tape    *tape
	stage   *stage // the narrow one
	stages  *stages
	prints  map[dbms.LSN][]statement
	list    []*commit
	read    dbms.LSN
	current map[rowID]row
}

func newLedger(t *testing.T, e dbmstest.Engine, ddl []string) *ledger {
	e.Need(t)
	l := &ledger{ddl: ddl, prints: map[dbms.LSN][]statement{}, current: map[rowID]row{}}
	for _, db := range []*dbms.DB{&l.db, &l.scratch, &l.again, &l.wide} {
		var err error
		if *db, err = e.Open(t.Context(), t.TempDir(), dbms.Options{Durability: dbms.Async}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*db).Close() })
		l.run(t, *db, ddl)
	}
	l.start = l.catchUp(t)
	l.tape = newTape(l, l.start)
	var err error
	if l.stage, err = newStage(t.Context(), l.scratch, l.start, l.tape); err != nil {
		t.Fatal(err)
	}
	l.stages = &stages{narrow: l.stage, many: 2}
	if l.stages.wide, err = newStage(t.Context(), l.wide, l.start, l.tape); err != nil {
		t.Fatal(err)
	}
	l.stages.wide.wide = true
	return l
}

// round begins anew with empty tables.
func (l *ledger) round(t failer) {
	l.run(t, l.db, l.empty())
	l.run(t, l.again, l.empty())
	l.start = l.catchUp(t)
}

// empty are the statements that empty the tables, the last one first.
func (l *ledger) empty() []string {
	var list []string
	for _, ddl := range slices.Backward(l.ddl) {
		if f := strings.Fields(ddl); strings.EqualFold(f[1], "table") {
			list = append(list, "DELETE FROM "+f[2])
		}
	}
	return list
}

type failer interface {
	Fatal(...any)
	Fatalf(string, ...any)
}

// run runs statements that nobody records.
func (l *ledger) run(t failer, db dbms.DB, list []string) {
	_, err := db.Update(context.Background(), abi.Call{Procedure: "set"}, func(tx dbms.Tx) error {
		for _, sql := range list {
			if _, err := tx.Exec(dbms.SQL(sql)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A line is a statement with its arguments.
type line struct {
	text string
	args []any
}

func sql(text string, args ...any) line { return line{text, args} }

func (l line) String() string { return fmt.Sprint(l.text, l.args) }

// perform runs lines in a transaction and returns what is recorded of them.
func perform(tx dbms.Tx, lines []line) ([]statement, error) {
	var print []statement
	for _, ln := range lines {
		st := statement{text: ln.text}
		for _, a := range ln.args {
			v, err := dbms.ToValue(a)
			if err != nil {
				return nil, err
			}
			st.args = append(st.args, v)
		}
		if returns(ln.text) {
			err := each(tx, dbms.SQL(ln.text), func([]dbms.Value) error { st.rows++; return nil }, ln.args...)
			if err != nil {
				return nil, err
			}
		} else {
			n, err := tx.Exec(dbms.SQL(ln.text), ln.args...)
			if err != nil {
				return nil, err
			}
			st.rows = n
		}
		print = append(print, st)
	}
	return print, nil
}

// do commits lines on behalf of an execution; false means that they failed and
// nothing happened.
func (l *ledger) do(t failer, execution string, recorded bool, lines ...line) bool {
	var print []statement
	lsn, err := l.db.Update(context.Background(), abi.Call{Procedure: "test", Execution: execution}, func(tx dbms.Tx) error {
		var err error
		print, err = perform(tx, lines)
		return err
	})
	if errors.Is(err, abi.Unavailable) || errors.Is(err, abi.Closed) {
		t.Fatal(err)
	}
	if err == nil && recorded {
		l.prints[lsn] = print
	}
	return err == nil
}

// catchUp reads what was committed.
func (l *ledger) catchUp(t failer) dbms.LSN {
	for {
		list, err := l.db.Changes(context.Background(), l.read, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			return l.read
		}
		for _, d := range list {
			c := &commit{lsn: d.LSN, snapshot: l.read, at: d.Time, call: d.Call, statements: l.prints[d.LSN]}
			_, c.recorded = l.prints[d.LSN]
			at := map[rowID]int{}
			for _, ch := range d.Changes {
				if ch.Op == dbms.Define || !isApplication(ch.Table) {
					continue
				}
				id := rowID{ch.Table, keyText(ch.Key)}
				if i, ok := at[id]; ok {
					c.changes[i].after = ch.Row
				} else {
					at[id] = len(c.changes)
					c.changes = append(c.changes, change{id: id, key: ch.Key, before: l.current[id], after: ch.Row})
				}
				l.current[id] = ch.Row
			}
			l.list = append(l.list, c)
			l.read = d.LSN
		}
	}
}

func (l *ledger) commits(_ context.Context, after, upto dbms.LSN, limit int) ([]*commit, error) {
	i, _ := slices.BinarySearchFunc(l.list, after+1, func(c *commit, lsn dbms.LSN) int { return int(c.lsn - lsn) })
	list := l.list[i:]
	for n, c := range list {
		if n == limit || c.lsn > upto {
			return list[:n], nil
		}
	}
	return list, nil
}

func (l *ledger) first(_ context.Context, execution string) (dbms.LSN, error) {
	for _, c := range l.list {
		if c.call.Execution == execution && c.lsn > l.start {
			return c.lsn, nil
		}
	}
	return 0, nil
}

// walk undoes executions of the round.
func (l *ledger) walk(t failer, policy Policy, seeds ...string) *walk {
	now := l.catchUp(t)
	w := newWalk(policy, l.tape, l.stages, l.stage.cat, func(c *commit) string {
		if slices.Contains(seeds, c.call.Execution) {
			return "named"
		}
		return ""
	})
	w.pos = l.start
	if err := w.advance(context.Background(), now, nil); err != nil {
		t.Fatal(err)
	}
	return w
}

// rows are the rows that are there after an undo, or now if w is nil, as text.
func (l *ledger) rows(w *walk) string {
	rows := map[rowID]row{}
	for id, r := range l.current {
		rows[id] = r
	}
	if w != nil {
		for _, e := range w.over.differs(latest, nil) {
			rows[e.id] = e.as(latest).repaired
		}
	}
	var list []string
	for id, r := range rows {
		if r != nil {
			list = append(list, fmt.Sprint(id.table, r))
		}
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// without runs the round's lines of everybody else on the third database, and
// returns its rows.
func (l *ledger) without(t failer, undone func(*commit) bool) string {
	for _, c := range l.list {
		if c.lsn <= l.start || undone(c) || !c.recorded {
			continue
		}
		_, err := l.again.Update(context.Background(), abi.Call{Procedure: "again"}, func(tx dbms.Tx) error {
			for _, st := range c.statements {
				var n int64
				var err error
				if returns(st.text) {
					err = each(tx, dbms.SQL(st.text), func([]dbms.Value) error { n++; return nil }, arguments(st.args)...)
				} else {
					n, err = tx.Exec(dbms.SQL(st.text), arguments(st.args)...)
				}
				if err != nil {
					return err
				}
				if n != st.rows {
					return fmt.Errorf("%s gives %d rows, and gave %d", st.text, n, st.rows)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s is left, and would see something else: %v", c.work(), err)
		}
	}
	var list []string
	err := l.again.View(context.Background(), func(tx dbms.Tx) error {
		list = nil
		for name, table := range l.stage.cat.tables {
			err := each(tx, dbms.SQL("SELECT "+strings.Join(quoteAll(table.define.Columns), ", ")+" FROM "+name), func(r []dbms.Value) error {
				list = append(list, fmt.Sprint(table.name, row(r)))
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

func (w *walk) isUndone(c *commit) bool {
	u := w.works[c.work()]
	return u != nil && u.Undone
}

// shopLine draws a statement.
func shopLine(t *rapid.T, n int) line {
	id, qty, name := rapid.IntRange(1, 4).Draw(t, "id"), rapid.IntRange(1, 3).Draw(t, "qty"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")
	switch rapid.IntRange(0, 13).Draw(t, "statement") {
	case 0, 1, 2:
		return sql(`UPDATE item SET stock = stock - $1 WHERE id = $2`, qty, id)
	case 3:
		return sql(`UPDATE item SET price = $1 WHERE id = $2`, 10*qty, id)
	case 4:
		return sql(`SELECT price FROM item WHERE id = $1`, id)
	case 5:
		return sql(`SELECT sum(stock) FROM item`)
	case 6:
		return sql(`INSERT INTO orders (id, item, qty, amount) VALUES ($1, $2, $3, 1)`, 100+n, id, qty)
	case 7:
		return sql(`INSERT INTO orders (id, item, qty, amount) SELECT $1, id, $2, price * $3 FROM item WHERE id = $4`, 100+n, qty, qty, id)
	case 8:
		return sql(`DELETE FROM item WHERE id = $1`, id)
	case 9:
		return sql(`INSERT INTO item (id, price, stock) VALUES ($1, $2, 10) ON CONFLICT (id) DO NOTHING`, id, qty)
	case 10, 11:
		return sql(`INSERT INTO counter (name, n) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET n = counter.n + excluded.n`, name, qty)
	case 12:
		return sql(`UPDATE counter SET n = (SELECT count(*) FROM orders) WHERE name = $1`, name)
	}
	return sql(`SELECT id, qty FROM orders WHERE item = $1 ORDER BY id`, id)
}

// randomShop makes a history.
func randomShop(t *rapid.T, l *ledger, n int) {
	l.do(t, "base", true, sql(`INSERT INTO item (id, price, stock) VALUES (1, 5, 100), (2, 7, 50), (3, 9, 10)`), sql(`INSERT INTO counter (name, n) VALUES ('a', 0)`))
	for i := range rapid.IntRange(3, n).Draw(t, "transactions") {
		var lines []line
		for range rapid.IntRange(1, 3).Draw(t, "lines") {
			lines = append(lines, shopLine(t, 10*i+len(lines)))
		}
		l.do(t, fmt.Sprint("x", rapid.IntRange(0, 6).Draw(t, "execution")), true, lines...)
	}
}

// TestShopWithout: on both engines, what an undo leaves is what the same
// statements leave on a database where the undone ones never ran.
func TestShopWithout(t *testing.T) {
	for _, e := range dbmstest.Engines() {
		t.Run(e.Name, func(t *testing.T) {
			l := newLedger(t, e, shopTables)
			ran, innocent, followed := 0, 0, 0
			rounds := 0
			rapid.Check(t, func(r *rapid.T) {
				if rounds++; testing.Short() && rounds > 25 {
					return
				}
				l.round(r)
				randomShop(r, l, 14)
				w := l.walk(r, Cascade, "x0")
				want := l.without(r, w.isUndone)
				if got := l.rows(w); got != want {
					r.Fatalf("the rows are\n%s\nwant\n%s\nfollowers %v", got, want, w.followers())
				}
				if len(w.undecided) > 0 {
					r.Fatalf("undecided: %v", w.undecided)
				}
				followed += len(w.followers())
				for _, ok := range w.ran {
					if ran++; ok {
						innocent++
					}
				}
			})
			if t.Logf("%d ran again, %d of them innocent; %d executions followed", ran, innocent, followed); innocent == 0 || followed == 0 {
				t.Error("the histories are too simple")
			}
		})
	}
}
