package sqlite

import "zombiezen.com/go/sqlite"

// numbers gives changes and commits their numbers.
type numbers struct {
	seq int64 // the last one given
	// held are pairs of numbers that were reserved for a change that will be
	// recorded later, the innermost last: see table.holds.
	held []int64
}

func (n *numbers) next() int64 {
	n.seq++
	return n.seq
}

// hold reserves two numbers.
func (n *numbers) hold() int64 {
	n.held = append(n.held, n.seq+1)
	n.seq += 2
	return n.seq
}

// take returns the first (0) and then the second (1) of the numbers that were
// reserved last.
func (n *numbers) take(which int64) int64 {
	if len(n.held) == 0 {
		return n.next()
	}
	first := n.held[len(n.held)-1]
	if which == 1 {
		n.held = n.held[:len(n.held)-1]
	}
	return first + which
}

// reset goes back to a number, when the changes after it were undone.
func (n *numbers) reset(seq int64) { n.seq, n.held = seq, n.held[:0] }

// numbers defines the functions that the history triggers call. A connection
// that only reads needs them to compile statements.
func (c *conn) numbers(n *numbers) error {
	functions := map[string]sqlite.FunctionImpl{
		"dbos_seq": {Scalar: func(sqlite.Context, []sqlite.Value) (sqlite.Value, error) {
			return sqlite.IntegerValue(n.next()), nil
		}},
		"dbos_hold": {Scalar: func(sqlite.Context, []sqlite.Value) (sqlite.Value, error) {
			return sqlite.IntegerValue(n.hold()), nil
		}},
		"dbos_held": {NArgs: 1, Scalar: func(_ sqlite.Context, args []sqlite.Value) (sqlite.Value, error) {
			return sqlite.IntegerValue(n.take(args[0].Int64())), nil
		}},
	}
	for name, impl := range functions {
		impl.AllowIndirect = true
		if err := c.raw.CreateFunction(name, &impl); err != nil {
			return sqlError("sqlite.open", err)
		}
	}
	return nil
}
