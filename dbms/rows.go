package dbms

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/dbos-go/dbos/abi"
)

// Rows is the result of Tx.Query, read one row at a time:
//
//	rows, err := tx.Query(q, args...)
//	if err != nil { return err }
//	defer rows.Close()
//	for rows.Next() { err := rows.Scan(&a, &b); … }
//	return rows.Err()
type Rows interface {
	// Columns returns the result's column names.
	Columns() []string
	// Next moves to the next row. At the end, or on an error, it returns
	// false and closes the rows.
	Next() bool
	// Scan copies the current row into dest, one pointer a column: see Scan.
	Scan(dest ...any) error
	// Err returns the error that ended Next, if any.
	Err() error
	// Close releases the rows. It may be called more than once.
	Close() error
}

// A Value is what a column holds: nil, int64, float64, string or []byte.
type Value any

// Assign stores v, a Value, in dest, which is one of
//
//	*int64, *int, *bool (0 or 1), *float64, *string, *[]byte,
//	*json.RawMessage, *time.Time (microseconds since 1970, in UTC),
//	*LSN, *abi.Principal, *any (the Value itself)
//
// or, for a column that may be NULL, a pointer to a pointer to one of these,
// which NULL sets to nil. NULL in a plain destination other than *any,
// *[]byte and *json.RawMessage, and a value of another type, are errors of
// kind abi.Invalid. Engines implement Rows.Scan with it.
func Assign(dest any, v Value) error {
	if ok, err := assignNullable(dest, v); ok {
		return err
	}
	switch d := dest.(type) {
	case *any:
		*d = v
		return nil
	case *[]byte:
		return assignBytes(d, v)
	case *json.RawMessage:
		return assignBytes((*[]byte)(d), v)
	}
	switch x := v.(type) {
	case int64:
		return assignInt(dest, x)
	case string:
		return assignString(dest, x)
	case float64:
		if d, ok := dest.(*float64); ok {
			*d = x
			return nil
		}
	}
	return mismatch(dest, v)
}

func assignInt(dest any, x int64) error {
	switch d := dest.(type) {
	case *int64:
		*d = x
	case *int:
		*d = int(x)
	case *LSN:
		*d = LSN(x)
	case *bool:
		if x != 0 && x != 1 {
			return mismatch(dest, x)
		}
		*d = x == 1
	case *float64:
		*d = float64(x)
	case *time.Time:
		*d = time.UnixMicro(x).UTC()
	default:
		return mismatch(dest, x)
	}
	return nil
}

func assignString(dest any, x string) error {
	switch d := dest.(type) {
	case *string:
		*d = x
	case *abi.Principal:
		*d = abi.Principal(x)
	default:
		return mismatch(dest, x)
	}
	return nil
}

func assignBytes(d *[]byte, v Value) error {
	switch x := v.(type) {
	case nil:
		*d = nil
	case []byte:
		*d = append(make([]byte, 0, len(x)), x...) // empty is not NULL
	case string:
		*d = []byte(x)
	default:
		return mismatch(d, v)
	}
	return nil
}

// assignNullable handles destinations that are pointers to pointers.
func assignNullable(dest any, v Value) (bool, error) {
	switch d := dest.(type) {
	case **int64:
		return true, assignPointer(d, v)
	case **int:
		return true, assignPointer(d, v)
	case **bool:
		return true, assignPointer(d, v)
	case **float64:
		return true, assignPointer(d, v)
	case **string:
		return true, assignPointer(d, v)
	case **time.Time:
		return true, assignPointer(d, v)
	case **LSN:
		return true, assignPointer(d, v)
	case **[]byte:
		return true, assignPointer(d, v)
	case **json.RawMessage:
		return true, assignPointer(d, v)
	case **abi.Principal:
		return true, assignPointer(d, v)
	}
	return false, nil
}

func assignPointer[T any](d **T, v Value) error {
	if v == nil {
		*d = nil
		return nil
	}
	p := new(T)
	if err := Assign(p, v); err != nil {
		return err
	}
	*d = p
	return nil
}

func mismatch(dest any, v Value) error {
	found := fmt.Sprintf("a %T", v)
	if v == nil {
		found = "NULL"
	}
	return abi.Errorf("dbms.scan", abi.Invalid, "destination", "cannot store %s in a %T", found, dest)
}
