package undo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"pgregory.net/rapid"
)

// A world is a database for tests of the deciding: numbers by table and key.
type world map[rowID]int64

func (w world) row(id rowID) row {
	n, ok := w[id]
	if !ok {
		return nil
	}
	return row{id.key, n}
}

func (w world) put(id rowID, r row) {
	if r == nil {
		delete(w, id)
		return
	}
	w[id] = r[1].(int64)
}

// do runs one statement: a verb and names of rows ("t/k").
func (w world) do(s statement) (r result) {
	f := strings.Fields(s.text)
	n := int64(0)
	if len(s.args) > 0 {
		n = s.args[0].(int64)
	}
	id := func(i int) rowID { t, k, _ := strings.Cut(f[i], "/"); return rowID{t, k} }
	switch f[0] {
	case "get":
		r.rows = [][]dbms.Value{}
		if v, ok := w[id(1)]; ok {
			r.rows = append(r.rows, []dbms.Value{v})
		}
	case "sum":
		sum := int64(0)
		for i, v := range w {
			if i.table == f[1] {
				sum += v
			}
		}
		r.rows = [][]dbms.Value{{sum}}
	case "put":
		w[id(1)], r.changed = n, 1
	case "insert":
		if _, ok := w[id(1)]; ok {
			r.failed = "exists"
			break
		}
		w[id(1)], r.changed = n, 1
	case "add":
		if _, ok := w[id(1)]; ok {
			w[id(1)] += n
			r.changed = 1
		}
	case "addall":
		for i := range w {
			if i.table == f[1] {
				w[i] += n
				r.changed++
			}
		}
	case "copy":
		if v, ok := w[id(1)]; ok {
			w[id(2)], r.changed = v, 1
		}
	case "del":
		if _, ok := w[id(1)]; ok {
			delete(w, id(1))
			r.changed = 1
		}
	default:
		panic(s.text)
	}
	return r
}

// run runs statements and returns what they did.
func (w world) run(statements []statement) *effect {
	before, e := maps.Clone(w), &effect{touched: map[rowID]touch{}}
	for _, s := range statements {
		e.results = append(e.results, w.do(s))
	}
	for id := range w {
		if v, ok := before[id]; !ok || v != w[id] {
			e.touched[id] = touch{key: []dbms.Value{id.key}, existed: ok, after: w.row(id)}
		}
	}
	for id := range before {
		if _, ok := w[id]; !ok {
			e.touched[id] = touch{key: []dbms.Value{id.key}, existed: true}
		}
	}
	return e
}

// A past is a history of worlds: an executor, a schema and a history.
type past struct {
	list  []*commit
	after []world // after[i] is the world after list[i]
	runs  int
}

// do adds a commit that runs statements on the latest world.
func (p *past) do(execution string, recorded bool, texts ...string) *commit {
	return p.doAt(len(p.list), execution, recorded, texts...)
}

// doAt adds a commit that saw the world after the first n commits. What it
// writes nobody else has written since.
func (p *past) doAt(n int, execution string, recorded bool, texts ...string) *commit {
	saw, now := world{}, world{}
	if len(p.list) > 0 {
		now = maps.Clone(p.after[len(p.after)-1])
	}
	if n > 0 {
		saw = maps.Clone(p.after[n-1])
	}
	c := &commit{lsn: dbms.LSN(10 * (len(p.list) + 1)), snapshot: dbms.LSN(10 * n), at: time.Unix(int64(len(p.list)), 0), recorded: recorded,
		call: abi.Call{Procedure: "p", Execution: execution}}
	var statements []statement
	for _, text := range texts {
		text, arg, ok := strings.Cut(text, " = ")
		s := statement{text: text}
		if ok {
			var v int64
			fmt.Sscan(arg, &v)
			s.args = []dbms.Value{v}
		}
		statements = append(statements, s)
	}
	e := saw.run(statements)
	for i, r := range e.results {
		switch {
		case r.failed != "":
			statements[i].rows = failed
		case r.rows != nil:
			statements[i].rows = int64(len(r.rows))
		default:
			statements[i].rows = r.changed
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(e.touched), func(a, b rowID) int { return strings.Compare(a.table+a.key, b.table+b.key) }) {
		c.changes = append(c.changes, change{id: id, key: []dbms.Value{id.key}, before: now.row(id), after: e.touched[id].after})
		now.put(id, e.touched[id].after)
	}
	if recorded {
		c.statements = statements
	}
	p.list, p.after = append(p.list, c), append(p.after, now)
	return c
}

func (p *past) commits(_ context.Context, after, upto dbms.LSN, limit int) ([]*commit, error) {
	var list []*commit
	for _, c := range p.list {
		if c.lsn > after && c.lsn <= upto && len(list) < limit {
			list = append(list, c)
		}
	}
	return list, nil
}

func (p *past) first(_ context.Context, execution string) (dbms.LSN, error) {
	for _, c := range p.list {
		if c.call.Execution == execution {
			return c.lsn, nil
		}
	}
	return 0, nil
}

func (p *past) as(at dbms.LSN) world {
	if at < 10 {
		return world{}
	}
	return maps.Clone(p.after[at/10-1])
}

func (p *past) run(_ context.Context, at dbms.LSN, instead []state, c *commit) (*effect, error) {
	p.runs++
	w := p.as(at)
	for _, s := range instead {
		w.put(s.id, s.row)
	}
	return w.run(c.statements), nil
}

func (p *past) reach(s statement) []string {
	var tables []string
	for _, f := range strings.Fields(s.text)[1:] {
		t, _, _ := strings.Cut(f, "/")
		tables = append(tables, t)
	}
	return tables
}

func (p *past) connected(tables []string) []string { return tables }

func (p *past) rank(string) int { return 0 }

func (p *past) parents(string, row) []rowID { return nil }

// walk undoes executions.
func (p *past) walk(t interface{ Fatal(...any) }, policy Policy, seeds ...string) *walk {
	w := newWalk(policy, newTape(p, 0), p, p, func(c *commit) string {
		if slices.Contains(seeds, c.call.Execution) {
			return "named"
		}
		return ""
	})
	if err := w.advance(context.Background(), p.list[len(p.list)-1].lsn, nil); err != nil {
		t.Fatal(err)
	}
	return w
}

// result is the world after an undo.
func (p *past) result(w *walk) world {
	now := maps.Clone(p.after[len(p.after)-1])
	for _, e := range w.over.differs(latest, nil) {
		now.put(e.id, e.as(latest).repaired)
	}
	return now
}

// without is the world that is there if some executions had never been, and
// whether everybody else sees what they saw.
func (p *past) without(undone func(string) bool) (world, []string) {
	now := world{}
	var others []string
	for _, c := range p.list {
		if undone(c.call.Execution) {
			continue
		}
		if !c.recorded {
			for _, ch := range c.changes {
				now.put(ch.id, ch.after)
			}
			continue
		}
		for i, r := range now.run(c.statements).results {
			if s := c.statements[i]; (s.rows == failed) != (r.failed != "") || s.rows != failed && r.seen(s.rows) != s.rows {
				others = append(others, c.call.Execution)
			}
		}
	}
	return now, others
}

func (w *walk) followers() []string {
	var list []string
	for k, u := range w.works {
		if !u.Seed {
			list = append(list, k)
		}
	}
	slices.Sort(list)
	return list
}

// generate makes a random past of up to n executions of one to three commits.
func generate(t *rapid.T, n int, opaque bool) *past {
	p := &past{}
	p.do("base", true, "put a/0 = 10", "put a/1 = 20", "put b/0 = 30", "put c/0 = 40", "put c/1 = 5")
	name := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "table") + "/" + rapid.SampledFrom([]string{"0", "1", "2"}).Draw(t, "key")
	})
	statement := rapid.Custom(func(t *rapid.T) string {
		row, n := name.Draw(t, "row"), fmt.Sprintf(" = %d", rapid.IntRange(1, 5).Draw(t, "n"))
		switch rapid.IntRange(0, 9).Draw(t, "verb") {
		case 0, 1:
			return "get " + row
		case 2, 3, 4:
			return "add " + row + n
		case 5:
			return "put " + row + n
		case 6:
			return "insert " + row + n
		case 7:
			return "copy " + row + " " + name.Draw(t, "to")
		case 8:
			return "del " + row
		}
		return rapid.SampledFrom([]string{"sum ", "addall "}).Draw(t, "verb") + row[:1] + n
	})
	for range rapid.IntRange(2, n).Draw(t, "commits") {
		execution := fmt.Sprint("x", rapid.IntRange(0, 7).Draw(t, "execution"))
		p.do(execution, !opaque || rapid.IntRange(0, 3).Draw(t, "recorded") > 0, rapid.SliceOfN(statement, 1, 4).Draw(t, "statements")...)
	}
	return p
}

// TestCascadeIsTheHistoryWithout: the result is the history run again without
// the seeds and what followed, and everybody who is left sees what they saw.
func TestCascadeIsTheHistoryWithout(t *testing.T) {
	innocent := 0
	rapid.Check(t, func(t *rapid.T) {
		p := generate(t, 14, false)
		w := p.walk(t, Cascade, "x0")
		want, others := p.without(func(x string) bool { u := w.works[x]; return u != nil && u.Undone })
		if got := p.result(w); !maps.Equal(got, want) {
			t.Fatalf("undone %v: the world is\n%v, want\n%v", w.works, got, want)
		}
		if len(others) > 0 {
			t.Fatalf("%v would see something else, and are left; followers %v", others, w.followers())
		}
		for _, ok := range w.ran {
			if ok {
				innocent++
			}
		}
	})
	if innocent == 0 {
		t.Error("no transaction that ran again was innocent")
	}
}

// TestNoFollowersIsTheHistoryWithoutSeeds: with nobody affected, the policy
// does not matter.
func TestNoFollowersIsTheHistoryWithoutSeeds(t *testing.T) {
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		p := generate(t, 8, false)
		w := p.walk(t, OnlyUntouched, "x0")
		if len(w.followers()) > 0 {
			return
		}
		n++
		want, _ := p.without(func(x string) bool { return x == "x0" })
		if got := p.result(w); !maps.Equal(got, want) {
			t.Fatalf("the world is\n%v, want\n%v", got, want)
		}
	})
	if n == 0 {
		t.Error("there were followers in every history")
	}
}

// TestOnlyUntouchedKeepsWhatFollowersSaw: followers and everybody else, run
// again on the repaired rows, see what they saw.
func TestOnlyUntouchedKeepsWhatFollowersSaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := generate(t, 14, false)
		w := p.walk(t, OnlyUntouched, "x0")
		for _, c := range p.list {
			if c.call.Execution == "x0" {
				continue
			}
			entries := w.over.differs(c.snapshot, nil)
			a, _ := p.run(t.Context(), c.snapshot, nil, c)
			b, _ := p.run(t.Context(), c.snapshot, repaired(entries, c.snapshot), c)
			for i := range a.results {
				if fmt.Sprint(a.results[i]) != fmt.Sprint(b.results[i]) {
					t.Fatalf("%s (%s) sees %v, and saw %v", c.work(), c.statements[i].text, b.results[i], a.results[i])
				}
			}
		}
		for id := range w.pins {
			if got, now := p.result(w).row(id), p.after[len(p.after)-1].row(id); !sameRow(got, now) {
				t.Fatalf("row %v is pinned and becomes %v from %v", id, got, now)
			}
		}
		for k, u := range w.works {
			if u.Undone != (k == "x0") {
				t.Fatalf("%s: undone is %v", k, u.Undone)
			}
		}
	})
}

// TestWithoutStatements: transactions of which nothing is recorded follow if
// they changed a row that would be another; their other rows stay.
func TestWithoutStatements(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := generate(t, 14, true)
		w := p.walk(t, Cascade, "x0")
		want, _ := p.without(func(x string) bool { u := w.works[x]; return u != nil && u.Undone })
		if got := p.result(w); !maps.Equal(got, want) {
			t.Fatalf("followers %v: the world is\n%v, want\n%v", w.followers(), got, want)
		}
	})
}
