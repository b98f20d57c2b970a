package undo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A row is the values of a table's columns, in today's order; nil is the row
// that is not there.
type row []dbms.Value

// A rowID names a row by its table and the exact text of its key (keyText).
type rowID struct{ table, key string }

// A state is what a row shall be, where it may be known to be something else.
type state struct {
	id     rowID
	key    []dbms.Value
	row    row
	actual row // of a repaired row
}

// A commit is one recorded transaction as far as undoing it, or running it
// again, needs it.
type commit struct {
	lsn      dbms.LSN
	snapshot dbms.LSN // it saw all commits up to here
	at       time.Time
	call     abi.Call
	// changes are the application's rows that it changed, each once, by the
	// order of their first change.
	changes []change
	// recorded says that its statements are known, all of them unless cut says why not.
	recorded   bool
	statements []statement
	cut        string
	// outcomes are runs whose outcome or events it read, and started those
	// that it began.
	outcomes, started []string
	// undo is its ID, if it is an undo.
	undo string
	// keyless are tables without a primary key that it changed.
	keyless []string
}

// A change is one row before and after a commit.
type change struct {
	id            rowID
	key           []dbms.Value
	before, after row
}

// A statement is one that an application issued.
type statement struct {
	text   string
	args   []dbms.Value
	rows   int64 // that it returned or changed; failed if it failed
	writes bool
}

// failed is the number of rows of a statement that failed.
const failed = -1

// work is the key of the work that a commit belongs to: its execution, or
// itself.
func (c *commit) work() string {
	if c.call.Execution != "" {
		return c.call.Execution
	}
	return "LSN " + strconv.FormatInt(int64(c.lsn), 10)
}

// keyText is a key as a text that only the same values have.
func keyText(key []dbms.Value) string {
	var b []byte
	for _, v := range key {
		switch x := v.(type) {
		case nil:
			b = append(b, 'n')
		case int64:
			b = strconv.AppendInt(append(b, 'i'), x, 10)
		case float64:
			b = strconv.AppendUint(append(b, 'f'), math.Float64bits(x), 16)
		case string:
			b = append(binary.AppendUvarint(append(b, 's'), uint64(len(x))), x...)
		case []byte:
			b = append(binary.AppendUvarint(append(b, 'b'), uint64(len(x))), x...)
		default:
			b = fmt.Appendf(append(b, '?'), "%T %v", v, v)
		}
		b = append(b, ' ')
	}
	return string(b)
}

// same compares two values exactly: 1 is not 1.0.
func same(a, b dbms.Value) bool {
	switch x := a.(type) {
	case []byte:
		y, ok := b.([]byte)
		return ok && bytes.Equal(x, y)
	case float64:
		y, ok := b.(float64)
		return ok && math.Float64bits(x) == math.Float64bits(y)
	}
	if _, ok := b.([]byte); ok {
		return false
	}
	return a == b
}

// sameRow compares two rows; a row that is not there is the same as another
// that is not there.
func sameRow(a, b row) bool {
	if (a == nil) != (b == nil) || len(a) != len(b) {
		return false
	}
	if len(a) > 0 && &a[0] == &b[0] {
		return true
	}
	for i := range a {
		if !same(a[i], b[i]) {
			return false
		}
	}
	return true
}

// shown renders a key for people.
func shown(key []dbms.Value) string {
	parts := make([]string, len(key))
	for i, v := range key {
		switch x := v.(type) {
		case nil:
			parts[i] = "NULL"
		case string:
			parts[i] = x
		case []byte:
			parts[i] = fmt.Sprintf("x'%x'", x[:min(len(x), 16)])
		default:
			parts[i] = fmt.Sprint(x)
		}
	}
	return strings.Join(parts, ", ")
}
