package dbms

import (
	"time"

	"github.com/dbos-go/dbos/abi"
)

// A Commit is one committed transaction.
type Commit struct {
	LSN     LSN
	Time    time.Time // the transaction's Tx.Now
	Call    abi.Call
	Changes []Change // in the order they were made
	Note    []byte   // of Tx.Record, or nil
	// Snapshot is the state that the transaction read: it has seen all
	// commits up to it. Where transactions overlap, it may have seen some
	// that are between this and its own LSN.
	Snapshot LSN
}

// An Op is what a Change did.
type Op string

const (
	Insert Op = "insert"
	Update Op = "update"
	Delete Op = "delete"
	// Define is a change of the table's definition: Schema holds it. It
	// stands for CREATE TABLE, ALTER TABLE and, as the new table's Define
	// with Renamed set, for ALTER TABLE … RENAME TO. Rows are as before:
	// an added column has its default in all of them, a dropped one is gone.
	Define Op = "define"
	// Drop is a dropped table: all its rows are gone with it.
	Drop Op = "drop"
)

// A Change is one changed row of a tracked table, or a changed definition.
// Every table is tracked from its creation, except virtual and temporary
// ones and the engine's own (dbos_*, h_*).
type Change struct {
	// LSN is the change's own number, at most that of its commit.
	LSN   LSN
	Table string
	Op    Op
	// Columns names the values of Row: all columns that are stored, in the
	// table's order (generated columns are not among them).
	Columns []string
	// Row is the row after an insert or update; nil otherwise.
	Row []Value
	// Key identifies the row: the values of KeyColumns. An update that
	// changes the key is recorded as a delete and an insert.
	Key []Value
	// KeyColumns is the primary key, or, for a table without one, a single
	// engine-specific row identity that is not among Columns.
	KeyColumns []string
	// Schema is the table's new definition as the engine's DDL (Define).
	Schema string
	// Renamed is the table's earlier name (Define), or "".
	Renamed string
	// Types are the declared types of Columns as the engine writes them
	// (Define): "INTEGER", "bigint", "". Nil in definitions that were recorded
	// before types were.
	Types []string
	// Defaults has for each of Columns what rows that were there before have
	// in it, if it is new to them (Define); nil for the other columns, and as
	// a whole if there are none.
	Defaults []Value
}
