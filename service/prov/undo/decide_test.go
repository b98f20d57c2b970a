package undo

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/dbos-go/dbos/dbms"
)

// undo walks and returns the world that comes of it.
func (p *past) undo(t *testing.T, policy Policy, seeds ...string) (*walk, world) {
	t.Helper()
	w := p.walk(t, policy, seeds...)
	return w, p.result(w)
}

func wantRow(t *testing.T, w world, name string, want int64) {
	t.Helper()
	table, key, _ := strings.Cut(name, "/")
	if got, ok := w[rowID{table, key}]; !ok || got != want {
		t.Errorf("%s is %d (there: %v), want %d", name, got, ok, want)
	}
}

func wantFollowers(t *testing.T, w *walk, want ...string) {
	t.Helper()
	if got := w.followers(); !slices.Equal(got, want) {
		t.Errorf("followers are %v, want %v", got, want)
	}
}

// TestCountersMerge: who only counts down has seen nothing, and its count
// survives.
func TestCountersMerge(t *testing.T) {
	p := &past{}
	p.do("base", true, "put item/mug = 100", "put price/mug = 9")
	p.do("bad", true, "add item/mug = -80", "put price/mug = 1")
	p.do("ada", true, "add item/mug = -1")
	p.do("bob", true, "get price/mug", "add item/mug = -2", "put order/bob = 2")
	p.do("eve", true, "add item/mug = -3")
	w, now := p.undo(t, Cascade, "bad")
	wantFollowers(t, w, "bob")
	wantRow(t, now, "item/mug", 96) // without ada's one and eve's three
	wantRow(t, now, "price/mug", 9)
	if _, ok := now[rowID{"order", "bob"}]; ok {
		t.Error("bob's order at the wrong price is still there")
	}
	if why := w.works["bob"].Why; !strings.Contains(why, "would return 9, not 1") || w.works["bob"].Follows != "bad" {
		t.Errorf("bob is there because %q, following %q", why, w.works["bob"].Follows)
	}

	w, now = p.undo(t, OnlyUntouched, "bad")
	wantFollowers(t, w, "bob")
	wantRow(t, now, "price/mug", 1) // bob saw it
	wantRow(t, now, "order/bob", 2)
	wantRow(t, now, "item/mug", 94)
	if len(w.pinned) != 1 || w.pinned[0].Table != "price" || w.pinned[0].Execution != "bob" {
		t.Errorf("conflicts %v, want bob's price", w.pinned)
	}
}

// TestWholeExecutionGoes: what an execution did before it met the seeds goes with
// it, from its very beginning, and who followed from that.
func TestWholeExecutionGoes(t *testing.T) {
	p := &past{}
	p.do("base", true, "put a/0 = 1", "put a/1 = 1")
	p.do("late", true, "put a/2 = 5")
	p.do("reader", true, "get a/2", "put b/0 = 1")
	p.do("bad", true, "put a/0 = 2")
	p.do("late", true, "get a/0")
	w, now := p.undo(t, Cascade, "bad")
	wantFollowers(t, w, "late", "reader")
	if want := (world{{"a", "0"}: 1, {"a", "1"}: 1}); !maps.Equal(now, want) {
		t.Errorf("the world is %v, want %v", now, want)
	}
}

// TestOutcomesAndChildren: who read the outcome of an undone run followed, and
// what the run had started goes.
func TestOutcomesAndChildren(t *testing.T) {
	p := &past{}
	p.do("base", true, "put a/0 = 1")
	p.do("bad", true, "put a/1 = 2").started = []string{"child"}
	p.do("child", true, "put a/2 = 3")
	p.do("asker", true, "put a/3 = 4").outcomes = []string{"child"}
	p.do("ada", true, "put a/4 = 4").outcomes = []string{"base"}
	w, now := p.undo(t, Cascade, "bad")
	wantFollowers(t, w, "asker")
	if !w.works["child"].Seed || w.works["child"].Follows != "bad" {
		t.Errorf("the child is %+v", w.works["child"])
	}
	if want := (world{{"a", "0"}: 1, {"a", "4"}: 4}); !maps.Equal(now, want) {
		t.Errorf("the world is %v, want %v", now, want)
	}
	w, now = p.undo(t, OnlyUntouched, "bad")
	wantRow(t, now, "a/3", 4)
	if len(w.pinned) != 1 || w.pinned[0].Execution != "asker" {
		t.Errorf("conflicts %v, want the asker's", w.pinned)
	}
}

// TestUndecided: of a transaction whose arguments were too long nobody knows
// what it read; it stays, and is named.
func TestUndecided(t *testing.T) {
	p := &past{}
	p.do("base", true, "put a/0 = 1")
	p.do("bad", true, "put a/0 = 2")
	p.do("long", true, "get a/0", "put b/0 = 7").cut = "an argument was too long"
	p.do("other", true, "put b/1 = 7").cut = "an argument was too long"
	c := p.do("odd", true, "get a/0", "put b/2 = 7")
	c.statements[0].rows = 5 // it cannot have been so
	w, now := p.undo(t, Cascade, "bad")
	wantFollowers(t, w)
	wantRow(t, now, "b/0", 7)
	wantRow(t, now, "a/0", 1)
	if len(w.undecided) != 2 || w.undecided[30].Execution != "long" || w.undecided[50].Execution != "odd" {
		t.Errorf("undecided: %v, want long and odd", w.undecided)
	}
	p.do("long", true, "add a/0 = 3").cut = "an argument was too long"
	w, _ = p.undo(t, Cascade, "bad")
	wantFollowers(t, w, "long") // it changed the same row
}

// TestKeyReuse: a row that came in the place of one that the seeds removed, or
// that they added and somebody removed.
func TestKeyReuse(t *testing.T) {
	p := &past{}
	p.do("base", true, "put a/0 = 1")
	p.do("bad", true, "del a/0", "put a/1 = 1")
	p.do("ada", true, "insert a/0 = 7")
	p.do("bob", true, "get a/9", "del a/9")
	w, now := p.undo(t, Cascade, "bad")
	wantFollowers(t, w, "ada") // her insert would have failed
	if want := (world{{"a", "0"}: 1}); !maps.Equal(now, want) {
		t.Errorf("the world is %v, want %v", now, want)
	}
	_, now = p.undo(t, OnlyUntouched, "bad")
	if want := (world{{"a", "0"}: 7}); !maps.Equal(now, want) {
		t.Errorf("the world is %v, want %v", now, want)
	}
}

// TestAfterAnUndo: rows that an earlier undo put right are right; rows that a
// restore has brought back are what they were, seeds' work included.
func TestAfterAnUndo(t *testing.T) {
	p := &past{}
	p.do("base", true, "put a/0 = 1", "put a/1 = 5")
	p.do("bad", true, "put a/0 = 2")
	p.do("ada", true, "add a/0 = 10", "add a/1 = 1")
	p.do("", false, "put a/0 = 11").call.Procedure = Procedure
	w, now := p.undo(t, Cascade, "bad")
	wantFollowers(t, w)
	wantRow(t, now, "a/0", 11)
	if n := len(w.over.differs(latest, nil)); n != 0 {
		t.Errorf("undone twice, %d rows change", n)
	}
	p.do("", false, "put a/0 = 12").call.Procedure = "prov.restore"
	w, now = p.undo(t, Cascade, "bad")
	wantFollowers(t, w)
	wantRow(t, now, "a/0", 11)
}

// TestUndoAfterAnotherUndo: an earlier undo wrote rows as they were without its
// own seeds; what others had done to them cannot be taken out any more, and is named.
func TestUndoAfterAnotherUndo(t *testing.T) {
	p := &past{}
	p.do("base", true, "put a/0 = 100", "put a/1 = 100")
	p.do("bad", true, "add a/0 = -50")
	p.do("good", true, "add a/0 = -2", "add a/1 = -2")
	p.do("", false, "put a/0 = 98").call.Procedure = Procedure
	w, now := p.undo(t, Cascade, "good")
	wantRow(t, now, "a/0", 98)
	wantRow(t, now, "a/1", 100)
	if c := w.overwritten[rowID{"a", "0"}]; len(w.overwritten) != 1 || c.LSN != 40 || c.Key != "0" || len(w.blind) != 0 {
		t.Errorf("conflicts %v, blind %v; want the row that the earlier undo wrote", w.overwritten, w.blind)
	}
}

// TestChance: what differs each time it is asked for says nothing about the
// state, and its first value stays.
func TestChance(t *testing.T) {
	c := &commit{statements: []statement{{text: "SELECT random(), n FROM a", rows: 1}}, recorded: true,
		changes: []change{{id: rowID{"b", "1"}, key: []dbms.Value{"1"}, after: row{"1", int64(77), int64(5)}}}}
	e := func(chance, n int64) *effect {
		return &effect{results: []result{{rows: [][]dbms.Value{{chance, int64(3)}}}},
			touched: map[rowID]touch{{"b", "1"}: {key: []dbms.Value{"1"}, after: row{"1", chance, n}}}}
	}
	none := func(rowID) *version { return nil }
	s := sight{c: c, a: e(1, 5), b: e(2, 6), before: none}
	if s.difference() == "" {
		t.Error("no difference is seen before it is known to be chance")
	}
	s.again = e(3, 5)
	if d := s.difference(); d != "" {
		t.Errorf("chance makes a difference: %s", d)
	}
	m := merge(c, s.a, s.b, none)
	if len(m) != 1 || !sameRow(m[0].repaired, row{"1", int64(77), int64(6)}) {
		t.Errorf("merged: %v, want the chance of then and the number of the repaired state", m)
	}
}

// TestOrderOfRows matters only where a statement asks for one.
func TestOrderOfRows(t *testing.T) {
	rows := func(list ...int64) *effect {
		var r result
		for _, n := range list {
			r.rows = append(r.rows, []dbms.Value{n})
		}
		return &effect{results: []result{r}}
	}
	for _, tt := range []struct {
		text string
		a, b *effect
		seen int64
		same bool
	}{
		{"SELECT n FROM a", rows(1, 2), rows(2, 1), 2, true},
		{"SELECT n FROM a ORDER BY n", rows(1, 2), rows(2, 1), 2, false},
		{"SELECT n FROM a", rows(1, 1), rows(1, 2), 2, false},
		{"SELECT n FROM a", rows(1, 2), rows(1), 1, true}, // it stopped reading
		{"SELECT n FROM a", rows(1), rows(1, 2), 1, false},
	} {
		c := &commit{statements: []statement{{text: tt.text, rows: tt.seen}}}
		s := sight{c: c, a: tt.a, b: tt.b, before: func(rowID) *version { return nil }}
		if d := s.difference(); (d == "") != tt.same {
			t.Errorf("%s: %v and %v: %q", tt.text, tt.a.results, tt.b.results, d)
		}
	}
}

// TestRolledBackAttempt: what a program saw in a transaction that it then rolled
// back is recorded with the failure. It can follow, and has changed nothing.
func TestRolledBackAttempt(t *testing.T) {
	p := &past{}
	p.do("base", true, "put item/mug = 10", "put item/cup = 10")
	p.do("bad", true, "add item/mug = -10", "add item/cup = -1")
	attempt := func(name string, texts ...string) {
		p.do(name, true, texts...).changes = nil
		p.after[len(p.after)-1] = p.after[1]
	}
	attempt("ada", "add item/mug = -1", "get item/mug")
	attempt("bob", "add item/cup = -1")
	w, now := p.undo(t, Cascade, "bad")
	wantFollowers(t, w, "ada")
	wantRow(t, now, "item/mug", 10)
	wantRow(t, now, "item/cup", 10)
	if len(w.undecided) > 0 {
		t.Errorf("undecided: %v", w.undecided)
	}
}

// TestOverlap: a transaction that overlapped the seed's may have seen it. If
// what it did tells which state it saw, that counts; else the one that is worse.
func TestOverlap(t *testing.T) {
	p := &past{}
	p.do("base", true, "put a/0 = 1", "put b/0 = 1", "put c/0 = 9")
	p.do("bad", true, "put a/0 = 2")
	p.do("saw", true, "copy a/0 b/0", "get a/0").snapshot = 10 // copied what bad had put
	p.doAt(1, "not", true, "copy a/0 c/0", "get a/0")
	p.do("perhaps", true, "get a/0").snapshot = 10
	p.do("blind", true, "add c/0 = 1").snapshot = 10
	w, now := p.undo(t, Cascade, "bad")
	wantFollowers(t, w, "perhaps", "saw")
	wantRow(t, now, "b/0", 1)
	wantRow(t, now, "c/0", 2)
}
