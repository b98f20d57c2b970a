package postgres

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/dbos-go/dbos/dbms"
)

// arrange puts the changes of one transaction that triggers have recorded
// into the order in which they were made. PostgreSQL runs row triggers at the
// end of the statement, so when an application's trigger changes a row that
// the same statement changes too, the later change may be recorded first. The
// versions of rows tell: a change that began with a version comes after the
// one that made it; and a key is free before it is taken again.
//
// Only changes of the same table under the same definition change places.
func arrange(events []event) {
	groups := map[*definition][]int{}
	var order []*definition
	for i, e := range events {
		if e.before == "" && e.after == "" {
			continue
		}
		if groups[e.table] == nil {
			order = append(order, e.table)
		}
		groups[e.table] = append(groups[e.table], i)
	}
	for _, table := range order {
		places := groups[table]
		group := make([]event, len(places))
		for i, place := range places {
			group[i] = events[place]
		}
		if inOrder(group) {
			continue
		}
		for i, from := range sortEvents(group) {
			events[places[i]] = group[from]
		}
	}
}

// inOrder is a quick look whether changes fit one another as they are.
func inOrder(group []event) bool {
	used := map[string]bool{}      // versions that have been the beginning of a change
	holders := map[string]string{} // the versions that have the keys; "" for none
	for _, e := range group {
		if e.after != "" && used[e.after] {
			return false
		}
		if e.before != "" {
			used[e.before] = true
		}
		key := keyText(e.key)
		holder, known := holders[key]
		switch {
		case !known, e.op == dbms.Update && e.before == "": // copied
		case e.op == dbms.Insert && holder != "", e.op != dbms.Insert && holder != e.before:
			return false
		}
		holders[key] = e.after
	}
	return true
}

// sortEvents returns the order in which the changes were made.
func sortEvents(group []event) []int {
	g := newEventGraph(group)
	g.linkVersions()
	g.linkKeys()
	return g.sort()
}

// An eventGraph says which change comes after which.
type eventGraph struct {
	events []event
	next   [][]int
	waits  []int            // for how many earlier ones
	makers map[string][]int // of versions
}

func newEventGraph(group []event) *eventGraph {
	return &eventGraph{group, make([][]int, len(group)), make([]int, len(group)), map[string][]int{}}
}

func (g *eventGraph) link(from, to int) {
	if from != to {
		g.next[from] = append(g.next[from], to)
		g.waits[to]++
	}
}

// linkVersions: a version is made before it is used, and a row that moves to
// another key leaves its old one first.
func (g *eventGraph) linkVersions() {
	leaves := map[string]int{}
	for i, e := range g.events {
		if e.after != "" {
			g.makers[e.after] = append(g.makers[e.after], i)
		}
		if e.op == dbms.Delete {
			leaves[e.before] = i
		}
	}
	for i, e := range g.events {
		if e.before == "" {
			continue
		}
		for _, maker := range g.makers[e.before] {
			g.link(maker, i)
		}
		if from, ok := leaves[e.before]; ok && e.op == dbms.Insert {
			g.link(from, i)
		}
	}
}

// A tenure is the time for which one row has a key.
type tenure struct {
	first, last int
	old         bool // the row had the key before the transaction
	stays       bool // and has it after
}

// linkKeys: one row after the other has a key.
func (g *eventGraph) linkKeys() {
	tenures := map[string][]*tenure{}
	var keys []string
	// A change belongs to the tenure of the change that made its version.
	at := make([]*tenure, len(g.events))
	var find func(i int) *tenure
	find = func(i int) *tenure {
		if at[i] != nil {
			return at[i]
		}
		e := g.events[i]
		key := keyText(e.key)
		if e.op != dbms.Insert {
			for _, maker := range g.makers[e.before] {
				if maker != i && keyText(g.events[maker].key) == key {
					at[i] = find(maker)
					return at[i]
				}
			}
		}
		at[i] = &tenure{first: i, last: i, old: e.op != dbms.Insert, stays: true}
		if tenures[key] == nil {
			keys = append(keys, key)
		}
		tenures[key] = append(tenures[key], at[i])
		return at[i]
	}
	users := map[string]*tenure{} // of versions, in the same tenure
	for i, e := range g.events {
		if t := find(i); e.op == dbms.Update || e.op == dbms.Delete {
			users[e.before] = t
		}
	}
	for i, e := range g.events {
		switch t := at[i]; {
		case e.op == dbms.Delete:
			t.last, t.stays = i, false
		case users[e.after] != t && t.stays:
			t.last = i
		}
	}
	for _, key := range keys {
		list := tenures[key]
		slices.SortStableFunc(list, func(a, b *tenure) int {
			return cmp.Or(boolOrder(b.old, a.old), boolOrder(a.stays, b.stays), cmp.Compare(a.first, b.first))
		})
		for i := 1; i < len(list); i++ {
			g.link(list[i-1].last, list[i].first)
		}
	}
}

func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// sort puts each change behind those it waits for, and else leaves them as
// they were recorded.
func (g *eventGraph) sort() []int {
	var ready intHeap
	for i, n := range g.waits {
		if n == 0 {
			heap.Push(&ready, i)
		}
	}
	var order []int
	for ready.Len() > 0 {
		i := heap.Pop(&ready).(int)
		order = append(order, i)
		for _, next := range g.next[i] {
			if g.waits[next]--; g.waits[next] == 0 {
				heap.Push(&ready, next)
			}
		}
	}
	if len(order) < len(g.events) { // they contradict one another
		order = order[:0]
		for i := range g.events {
			order = append(order, i)
		}
	}
	return order
}

type intHeap []int

func (h intHeap) Len() int           { return len(h) }
func (h intHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h intHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *intHeap) Push(v any)        { *h = append(*h, v.(int)) }
func (h *intHeap) Pop() any {
	old := *h
	v := old[len(old)-1]
	*h = old[:len(old)-1]
	return v
}
