package sqlite

import (
	"fmt"
	"strings"

	"zombiezen.com/go/sqlite"
)

// numbers gives changes and commits their numbers.
//
// A change of a row's key can, through a foreign key of the table to itself,
// change the row again before it is itself recorded. So that the numbers are
// the order of the changes, a trigger marks such a change before it happens,
// and the mark gets its two numbers (delete and insert) when the inner change
// is about to be recorded. A mark whose change does not happen after all
// (UPDATE OR IGNORE) is left over, and swept when the next statement begins.
type numbers struct {
	seq   int64  // the last one given
	marks []mark // the innermost last
}

// A mark is a change of a key that has begun.
type mark struct {
	old, new string
	first    int64 // of its two numbers; 0 if it has none yet
}

func (n *numbers) next() int64 {
	n.seq++
	return n.seq
}

// begin sweeps the marks that an earlier statement has left over.
func (n *numbers) begin() { n.marks = n.marks[:0] }

// reset goes back to a number, when the changes after it were undone.
func (n *numbers) reset(seq int64) {
	n.seq = seq
	n.begin()
}

func (n *numbers) mark(old, new string) { n.marks = append(n.marks, mark{old: old, new: new}) }

// inner is told that a row with this key is about to be recorded as changed
// again: the change that gave it the key comes before.
func (n *numbers) inner(key string) {
	for i := len(n.marks) - 1; i >= 0; i-- {
		if m := &n.marks[i]; m.new == key && m.first == 0 {
			n.reserve(m)
			return
		}
	}
}

func (n *numbers) reserve(m *mark) {
	m.first = n.seq + 1
	n.seq += 2
}

// take returns the first (0) and then the second (1) number of a marked
// change, whose mark ends with the second.
func (n *numbers) take(which int64, old, new string) int64 {
	for i := len(n.marks) - 1; i >= 0; i-- {
		m := &n.marks[i]
		if m.old != old || m.new != new {
			continue
		}
		if m.first == 0 {
			n.reserve(m)
		}
		first := m.first
		n.marks = n.marks[:i+1]
		if which == 1 {
			n.marks = n.marks[:i]
		}
		return first + which
	}
	return n.next()
}

// identity writes key values so that different keys are different texts.
func identity(values []sqlite.Value) string {
	var b strings.Builder
	for _, v := range values {
		text := v.Text()
		fmt.Fprintf(&b, "%d:%d:%s;", v.Type(), len(text), text)
	}
	return b.String()
}

// numbers defines the functions that the history triggers call. A connection
// that only reads needs them to compile statements.
func (c *conn) numbers(n *numbers) error {
	halves := func(values []sqlite.Value) (old, new string) {
		half := len(values) / 2
		return identity(values[:half]), identity(values[half:])
	}
	functions := map[string]func(args []sqlite.Value) int64{
		"dbos_seq": func([]sqlite.Value) int64 { return n.next() },
		// dbos_mark(old key …, new key …)
		"dbos_mark": func(args []sqlite.Value) int64 {
			n.mark(halves(args))
			return 0
		},
		// dbos_inner(key …)
		"dbos_inner": func(args []sqlite.Value) int64 {
			n.inner(identity(args))
			return 0
		},
		// dbos_take(0 or 1, old key …, new key …)
		"dbos_take": func(args []sqlite.Value) int64 {
			old, new := halves(args[1:])
			return n.take(args[0].Int64(), old, new)
		},
	}
	for name, fn := range functions {
		impl := sqlite.FunctionImpl{NArgs: -1, AllowIndirect: true}
		if name == "dbos_seq" {
			impl.NArgs = 0
		}
		impl.Scalar = func(_ sqlite.Context, args []sqlite.Value) (sqlite.Value, error) {
			return sqlite.IntegerValue(fn(args)), nil
		}
		if err := c.raw.CreateFunction(name, &impl); err != nil {
			return sqlError("sqlite.open", err)
		}
	}
	return nil
}
