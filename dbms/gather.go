package dbms

import (
	"context"
	"time"

	"github.com/dbos-go/dbos/abi"
)

// A Gatherer is a DB that many machines share, where a statement is a message
// to a server and back. There it pays to say a service's operation as one
// statement over sets. A DB that does not implement Gatherer runs the same
// operation by Update.
type Gatherer interface {
	DB

	// Gather runs one call of an operation that is a single statement over
	// sets, and commits it. Parameter $i of q is an array that has the i-th
	// argument of every call, cast in the text ($1::text[], $2::bigint[]);
	// unnest(…) WITH ORDINALITY makes rows of them again. The first column of
	// q's result is the call's ordinal, counted from 1; Gather returns the
	// other columns of the rows that have this call's.
	//
	// Calls of the same q that are made at the same time run as one statement
	// and commit together. Each is recorded as a transaction of its own, so q
	// must do for each call what it would do if it came alone. Changed rows
	// are told apart by the execution in their leading key column: rows that
	// belong to no call's execution are recorded with the first call.
	//
	// The statement runs at READ COMMITTED, once, and may run again after a
	// conflict: q says in a comment why that is enough, and locks what it
	// decides upon. When Gather returns nil error the call is durable and
	// visible, as of Update. When the error is of kind abi.Unknown, the
	// connection broke during the commit and whether the call was done could not be
	// found out before ctx ended. With any other error it was not done.
	Gather(ctx context.Context, call abi.Call, q *Query, args ...any) ([][]Value, error)

	// UpdateReadCommitted is Update at READ COMMITTED: each statement sees
	// what was committed before it began. It is for a service's procedure
	// that is safe there because it locks the rows that it decides upon
	// before it reads them, and says so.
	UpdateReadCommitted(ctx context.Context, call abi.Call, fn func(Tx) error) (LSN, error)

	// Expel breaks the connections of another node, which is taken for dead,
	// so that the locks of a transaction that it had begun do not outlive its
	// lease.
	Expel(ctx context.Context, node string) error

	// Now is the database's time, as Tx.Now would show it.
	Now() time.Time

	// Signal wakes the topics' watchers, here and in other processes. It is
	// for what Gather has committed.
	Signal(topics ...string)
}

// ScanValues stores a row of Gather in dest, one pointer a column: see Assign.
func ScanValues(row []Value, dest ...any) error {
	if len(row) != len(dest) {
		return abi.Errorf("dbms.scan", abi.Invalid, "destinations", "%d for %d columns", len(dest), len(row))
	}
	for i, v := range row {
		if err := Assign(dest[i], v); err != nil {
			return err
		}
	}
	return nil
}
