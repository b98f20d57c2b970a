package footprint_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/footprint"
)

func TestEncodeAndDecode(t *testing.T) {
	long := strings.Repeat("x", footprint.MaxArg)
	f := footprint.Footprint{
		Statements: []footprint.Statement{
			{Text: footprint.TextID("SELECT 1"), Rows: 1},
			{Text: 7, Args: []dbms.Value{nil, int64(-5), 1.5, "a\"b", []byte{0, 255}, "\xff", long}, Rows: 1 << 40, Writes: true},
		},
		Reads: []footprint.Read{{Table: "sched_task", Key: []dbms.Value{"order-42"}}, {Table: `odd "name"`, Key: []dbms.Value{int64(1), nil}}},
	}
	got, err := footprint.Decode(f.Encode())
	if d := cmp.Diff(f, got, cmpopts.EquateEmpty()); err != nil || d != "" {
		t.Error(err, d)
	}
}

func TestNothingIsNoNote(t *testing.T) {
	var f footprint.Footprint
	if note := f.Encode(); note != nil {
		t.Errorf("an empty footprint is %q", note)
	}
	if got, err := footprint.Decode(nil); err != nil || !got.Empty() {
		t.Error(got, err)
	}
}

func TestLongArgumentsAreCut(t *testing.T) {
	f := footprint.Footprint{Statements: []footprint.Statement{{Text: 1, Args: []dbms.Value{strings.Repeat("x", footprint.MaxArg+1), make([]byte, footprint.MaxArg+1)}}}}
	got, err := footprint.Decode(f.Encode())
	if err != nil || !got.Statements[0].Cut {
		t.Fatal(got, err)
	}
	for _, arg := range got.Statements[0].Args {
		if digest, ok := arg.([]byte); !ok || len(digest) != 32 {
			t.Errorf("for a long argument there is %v", arg)
		}
	}
}

func TestALotIsTruncated(t *testing.T) {
	var f footprint.Footprint
	for range 100 {
		f.Statements = append(f.Statements, footprint.Statement{Text: 1, Args: []dbms.Value{strings.Repeat("x", 10_000)}})
	}
	note := f.Encode()
	got, err := footprint.Decode(note)
	if err != nil || !got.Truncated || len(got.Statements) < 40 || len(note) > dbms.MaxNote {
		t.Errorf("%d bytes, %d statements, %t, %v", len(note), len(got.Statements), got.Truncated, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"s":[[1,2,3,[null,1,"x",{"f":"1.5"}]]],"r":[["t",[1]]],"t":true}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, note []byte) {
		got, err := footprint.Decode(note)
		if err != nil {
			if abi.KindOf(err) != abi.Corrupt {
				t.Errorf("%q: %v", note, err)
			}
			return
		}
		again, err := footprint.Decode(bytes.Clone(got.Encode()))
		if d := cmp.Diff(got, again, cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); err != nil || d != "" {
			t.Errorf("%q: %v %s", note, err, d)
		}
	})
}
