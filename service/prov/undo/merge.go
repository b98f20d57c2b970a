package undo

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// An effect is what a commit's statements did when they ran again.
type effect struct {
	results []result // one for each statement
	touched map[rowID]touch
	// broken says why the state on which the statements should run cannot be, or
	// is "": rows contradict each other. Then nothing ran.
	broken string
}

// A result is what one statement let its program see.
type result struct {
	rows    [][]dbms.Value
	changed int64
	failed  string // why, or ""
	// keys are those that the database made for new rows, and what they were
	// when the statement ran first.
	keys map[int64]int64
}

// A touch is a row that the statements changed.
type touch struct {
	key     []dbms.Value
	existed bool // before them
	after   row
}

// unrepeatable says why running a commit's statements on the state that it saw
// did not do what the commit did, or "". Then nothing can be concluded from running them on
// another state.
func unrepeatable(c *commit, a *effect) string {
	if a.broken != "" {
		return "the state that it saw cannot be made: " + a.broken
	}
	for i, s := range c.statements {
		r := a.results[i]
		switch {
		case (s.rows == failed) != (r.failed != ""):
			if r.failed != "" {
				return fmt.Sprintf("%s failed when it was repeated: %s", brief(s.text), r.failed)
			}
			return fmt.Sprintf("%s had failed, and does not when it is repeated", brief(s.text))
		case s.rows != failed && r.seen(s.rows) != s.rows:
			return fmt.Sprintf("%s gave %d rows when it was repeated, and %d then", brief(s.text), r.seen(s.rows), s.rows)
		}
	}
	if len(c.changes) == 0 {
		return "" // an attempt that was rolled back: its program saw it all the same
	}
	changed := make(map[rowID]bool, len(c.changes))
	for _, ch := range c.changes {
		changed[ch.id] = true
	}
	for id, t := range a.touched {
		// A row that was made and removed again left no trace.
		if !changed[id] && (t.existed || t.after != nil) {
			return fmt.Sprintf("repeated, it changed row %s of %s, which it had not", shown(t.key), id.table)
		}
	}
	return ""
}

// explains reports whether the statements, run again, made of the rows exactly
// what the commit made of them.
func explains(c *commit, a *effect) bool {
	for _, ch := range c.changes {
		if t, ok := a.touched[ch.id]; ok && !sameRow(t.after, ch.after) {
			return false
		}
	}
	return true
}

// seen is how many rows a program saw of a result of which it saw n the first
// time: it may have stopped reading.
func (r *result) seen(n int64) int64 {
	if r.rows == nil {
		return r.changed
	}
	return min(int64(len(r.rows)), n)
}

// A sight compares what a program saw with what it would see.
type sight struct {
	c    *commit
	a, b *effect
	// again is a on the same state once more, or nil: what differs
	// between them comes from the clock or from chance, not from the state.
	again *effect
	// before is the version of a row that differs before the commit, or nil.
	before func(rowID) *version
}

// difference says how the program's view differs, or "".
func (s *sight) difference() string {
	if s.b.broken != "" {
		return "the rows would contradict each other: " + s.b.broken
	}
	for i := range s.c.statements {
		if d := s.statement(i); d != "" {
			return brief(s.c.statements[i].text) + " " + d
		}
	}
	for _, w := range [...]struct {
		touched, other map[rowID]touch
		would          string
	}{{s.a.touched, s.b.touched, "would not change"}, {s.b.touched, s.a.touched, "would change"}} {
		for id, t := range w.touched {
			if _, both := w.other[id]; both || !t.existed && t.after == nil {
				continue
			}
			// A row that is there in one of the states only is changed there
			// only: a cascade that removes what the seeds had added.
			if v := s.before(id); v.tainted() && (v.actual == nil) != (v.repaired == nil) {
				continue
			}
			return fmt.Sprintf("%s row %s of %s", w.would, shown(t.key), id.table)
		}
	}
	return ""
}

// statement compares one statement's results.
func (s *sight) statement(i int) string {
	a, b := &s.a.results[i], &s.b.results[i]
	recorded := s.c.statements[i].rows
	switch {
	case a.failed != "" && b.failed != "":
		return ""
	case b.failed != "":
		return "would fail: " + b.failed
	case a.failed != "":
		return "would not fail"
	case a.rows == nil && b.rows == nil:
		if a.changed != b.changed {
			return fmt.Sprintf("would change %d rows, not %d", b.changed, a.changed)
		}
		return ""
	}
	left, right := a.rows, b.rows
	if int64(len(left)) > recorded { // the program stopped reading there
		left, right = left[:recorded], right[:min(recorded, int64(len(right)))]
	}
	if len(left) != len(right) {
		return fmt.Sprintf("would return %d rows, not %d", len(right), len(left))
	}
	var again *result
	if s.again != nil {
		again = &s.again.results[i]
	}
	if at := differing(left, right, a, b, again); at >= 0 {
		if !ordered.MatchString(s.c.statements[i].text) && sameSet(left, right) {
			return ""
		}
		return fmt.Sprintf("would return %s, not %s", shown(right[at]), shown(left[at]))
	}
	return ""
}

// ordered finds that the order of a query's rows means something.
var ordered = regexp.MustCompile(`(?is)\border\s+by\b`)

// differing returns the first row that differs, or -1.
func differing(left, right [][]dbms.Value, a, b, again *result) int {
	for n := range left {
		if len(left[n]) != len(right[n]) {
			return n
		}
		for j, x := range left[n] {
			y := right[n][j]
			if same(x, y) || same(mapped(a, x), mapped(b, y)) {
				continue
			}
			if again != nil && n < len(again.rows) && j < len(again.rows[n]) && !same(x, again.rows[n][j]) {
				continue
			}
			return n
		}
	}
	return -1
}

// mapped is a key that the database made, as it was made the first time.
func mapped(r *result, v dbms.Value) dbms.Value {
	if n, ok := v.(int64); ok {
		if m, ok := r.keys[n]; ok {
			return m
		}
	}
	return v
}

// sameSet compares rows in any order.
func sameSet(left, right [][]dbms.Value) bool {
	count := map[string]int{}
	for _, r := range left {
		count[keyText(r)]++
	}
	for _, r := range right {
		k := keyText(r)
		if count[k]--; count[k] < 0 {
			return false
		}
	}
	return len(left) == len(right)
}

// merge returns what the rows are, after a commit that saw no difference, in
// the actual history and in the repaired one: there, what its statements made of them. What
// it changed in other ways is not among them.
func merge(c *commit, a, b *effect, before func(rowID) *version) []merged {
	if len(c.changes) == 0 {
		return nil // what it did was rolled back
	}
	recorded := make(map[rowID]row, len(c.changes))
	for _, ch := range c.changes {
		recorded[ch.id] = ch.after
	}
	var list []merged
	done := map[rowID]bool{}
	for _, touched := range [...]map[rowID]touch{a.touched, b.touched} {
		for id, t := range touched {
			if done[id] {
				continue
			}
			done[id] = true
			actual, known := recorded[id]
			v := before(id)
			if !known && v == nil {
				continue // made and removed again
			}
			if !known {
				actual = v.actual
			}
			ta, inA := a.touched[id]
			tb, inB := b.touched[id]
			m := merged{id: id, key: t.key, actual: actual}
			switch {
			case inA && inB && known:
				m.repaired = mergeRow(actual, ta.after, tb.after)
			case inB:
				m.repaired = tb.after
			default: // it was there in one of the states only
				m.repaired = v.repairedOr(actual)
			}
			list = append(list, m)
		}
	}
	return list
}

// A merged row is what it is and what it would be after a commit.
type merged struct {
	id               rowID
	key              []dbms.Value
	actual, repaired row
}

// mergeRow merges a row as it was recorded with what it became when the
// statements ran again on the same state and on the repaired one. Where these agree,
// the recorded value stands; where only the recorded and the first agree, the repaired one; and
// where none agree, the value is the clock's or chance's, and the recorded one stands.
func mergeRow(actual, a, b row) row {
	if actual == nil || a == nil || b == nil || len(a) != len(actual) || len(b) != len(actual) {
		if sameRow(a, b) {
			return actual
		}
		return b
	}
	merged := make(row, len(b))
	for i := range b {
		if !same(a[i], b[i]) && same(a[i], actual[i]) {
			merged[i] = b[i]
		} else {
			merged[i] = actual[i]
		}
	}
	return merged
}

// brief is a statement's text on one line, shortened.
func brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 80 {
		text = string(r[:80]) + "…"
	}
	return "«" + text + "»"
}
