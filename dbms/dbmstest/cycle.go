package dbmstest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A graph orders the transactions of a history: an edge says that one comes
// before another, and why. Nodes from len(history) on are instants.
type graph struct {
	h     history
	edges [][]edge
}

type edge struct {
	to  int
	why string
}

func newGraph(h history) *graph { return &graph{h: h, edges: make([][]edge, len(h))} }

func (g *graph) add(from, to int, why string) {
	if from != to {
		g.edges[from] = append(g.edges[from], edge{to, why})
	}
}

// checkCycles: the orders in which transactions saw and overwrote one another
// and in which they happened must together be one order, and so must the
// orders of LSNs. A read that a later write overtakes (rw) does not order
// LSNs: an engine may commit reader and writer either way round.
func (h history) checkCycles(writers map[int]int, order map[int][]int) error {
	g := newGraph(h)
	g.addVersions(writers, order)
	g.addTime()
	g.addReads(writers, order)
	if cycle := g.cycle(); cycle != "" {
		return fmt.Errorf("not strictly serializable: %s", cycle)
	}
	l := newGraph(h)
	l.addVersions(writers, order)
	l.addTime()
	l.addLSNs()
	if cycle := l.cycle(); cycle != "" {
		return fmt.Errorf("LSNs contradict the order of commits: %s", cycle)
	}
	return nil
}

// addVersions adds ww edges (appended after) and wr edges (saw the append).
func (g *graph) addVersions(writers map[int]int, order map[int][]int) {
	for key, list := range order {
		for i := range len(list) - 1 {
			g.add(writers[list[i]], writers[list[i+1]], fmt.Sprintf("ww list %d: %d then %d", key, list[i], list[i+1]))
		}
	}
	for i, t := range g.h {
		for _, o := range t.reads() {
			if n := len(o.element); n > 0 && !t.aborted {
				g.add(writers[o.element[n-1]], i, fmt.Sprintf("wr list %d: saw %d", o.key, o.element[n-1]))
			}
		}
	}
}

// addReads adds rw edges: a read that did not see an append comes before it.
func (g *graph) addReads(writers map[int]int, order map[int][]int) {
	for i, t := range g.h {
		for _, o := range t.reads() {
			if n := len(o.element); n < len(order[o.key]) && !t.aborted {
				next := order[o.key][n]
				g.add(i, writers[next], fmt.Sprintf("rw list %d: did not see %d", o.key, next))
			}
		}
	}
}

// addTime adds real-time order, through a chain of instants so that the edges
// are not the square of the transactions: a transaction comes before the
// instant of its end, and after the last such instant before its start.
func (g *graph) addTime() {
	var done []int
	for i, t := range g.h {
		if !t.aborted {
			done = append(done, i)
		}
	}
	slices.SortFunc(done, func(a, b int) int { return cmp.Compare(g.h[a].end, g.h[b].end) })
	first := len(g.edges)
	g.edges = append(g.edges, make([][]edge, len(done))...)
	for n, i := range done {
		g.add(i, first+n, "ended")
		if n > 0 {
			g.add(first+n-1, first+n, "")
		}
	}
	for _, i := range done {
		n, _ := slices.BinarySearchFunc(done, g.h[i].start, func(d, start int) int { return cmp.Compare(g.h[d].end, start) })
		if n > 0 {
			g.add(first+n-1, i, "before the start of")
		}
	}
}

// addLSNs adds the order of commits.
func (g *graph) addLSNs() {
	var commits []int
	for i, t := range g.h {
		if !t.aborted && t.lsn != 0 {
			commits = append(commits, i)
		}
	}
	slices.SortFunc(commits, func(a, b int) int { return cmp.Compare(g.h[a].lsn, g.h[b].lsn) })
	for n := range len(commits) - 1 {
		g.add(commits[n], commits[n+1], "smaller LSN than")
	}
}

// cycle describes a cycle, or returns "".
func (g *graph) cycle() string {
	const (
		fresh = iota
		active
		finished
	)
	type frame struct{ node, next int }
	state := make([]int, len(g.edges))
	for root := range g.edges {
		if state[root] != fresh {
			continue
		}
		stack := []frame{{node: root}}
		state[root] = active
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if top.next == len(g.edges[top.node]) {
				state[top.node] = finished
				stack = stack[:len(stack)-1]
				continue
			}
			to := g.edges[top.node][top.next].to
			top.next++
			switch state[to] {
			case fresh:
				state[to] = active
				stack = append(stack, frame{node: to})
			case active:
				at := slices.IndexFunc(stack, func(f frame) bool { return f.node == to })
				var path []edge
				for _, f := range stack[at:] {
					path = append(path, edge{f.node, g.edges[f.node][f.next-1].why})
				}
				return g.describe(path)
			}
		}
	}
	return ""
}

// describe writes a cycle with the reason of each step. Instants have no name.
func (g *graph) describe(cycle []edge) string {
	var b strings.Builder
	for _, step := range cycle {
		if step.to < len(g.h) {
			b.WriteString(g.h[step.to].name + " ")
		}
		if step.why != "" {
			b.WriteString("—" + step.why + "→ ")
		}
	}
	return b.String() + "and round again"
}
