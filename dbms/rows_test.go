package dbms_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

func TestAssignConverts(t *testing.T) {
	var f float64
	if err := dbms.Assign(&f, int64(3)); err != nil || f != 3 {
		t.Errorf("an integer in a *float64: %v, %v", f, err)
	}
	var b []byte
	if err := dbms.Assign(&b, "text"); err != nil || string(b) != "text" {
		t.Errorf("a text in a *[]byte: %q, %v", b, err)
	}
	var j json.RawMessage
	if err := dbms.Assign(&j, []byte("[1]")); err != nil || string(j) != "[1]" {
		t.Errorf("a blob in a *json.RawMessage: %q, %v", j, err)
	}
	for _, d := range []any{&b, &j} {
		if err := dbms.Assign(d, nil); err != nil {
			t.Errorf("NULL in a %T: %v", d, err)
		}
	}
	if b != nil || j != nil {
		t.Errorf("NULL became %v and %v, want nil", b, j)
	}
}

// TestAssignCopies: what was scanned is the caller's own, and an empty blob is
// not NULL.
func TestAssignCopies(t *testing.T) {
	stored := []byte("abc")
	earlier := []byte("xyzuvw")
	dest := earlier
	if err := dbms.Assign(&dest, stored); err != nil {
		t.Fatal(err)
	}
	stored[0] = 'X'
	if string(dest) != "abc" || string(earlier) != "xyzuvw" {
		t.Errorf("the destination became %q, its earlier value %q", dest, earlier)
	}
	dest = nil
	if err := dbms.Assign(&dest, []byte{}); err != nil || dest == nil {
		t.Errorf("an empty blob becomes nil, which is NULL: %v", err)
	}
}

func TestAssignRefuses(t *testing.T) {
	values := map[string]dbms.Value{"NULL": nil, "integer": int64(2), "float": 1.5, "text": "t", "blob": []byte("b")}
	takes := map[string]string{ // by destination, what it takes of them
		"*int64": "integer", "*int": "integer", "*bool": "", "*float64": "integer float", "*string": "text", "*time.Time": "integer",
		"*dbms.LSN": "integer", "*abi.Principal": "text", "*[]uint8": "NULL text blob", "*json.RawMessage": "NULL text blob",
		"*interface {}": "NULL integer float text blob", "*int32": "", "string": "", "<nil>": "", "*struct {}": "",
		"**int64": "NULL integer", "**bool": "NULL", "**string": "NULL text", "**time.Time": "NULL integer", "**float64": "NULL integer float",
		"**int": "NULL integer", "**dbms.LSN": "NULL integer",
	}
	for _, dest := range []any{
		new(int64), new(int), new(bool), new(float64), new(string), new(time.Time), new(dbms.LSN), new(abi.Principal), new([]byte),
		new(json.RawMessage), new(any), new(int32), "", nil, new(struct{}), new(*int64), new(*bool), new(*string), new(*time.Time), new(*float64),
		new(*int), new(*dbms.LSN),
	} {
		taken, ok := takes[fmt.Sprintf("%T", dest)]
		if !ok {
			t.Fatalf("the table does not have %T", dest)
		}
		for name, v := range values {
			err := dbms.Assign(dest, v)
			if slices.Contains(strings.Fields(taken), name) {
				if err != nil {
					t.Errorf("%s in a %T: %v", name, dest, err)
				}
			} else if !errors.Is(err, abi.Invalid) {
				t.Errorf("%s in a %T: %v, want an error of kind Invalid", name, dest, err)
			}
		}
	}
}
