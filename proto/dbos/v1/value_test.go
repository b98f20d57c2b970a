package dbosv1

import (
	"bytes"
	"math"
	"math/big"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
)

// roundTrip sends a value through its wire form.
func roundTrip(t *testing.T, v any) any {
	t.Helper()
	m, err := NewValue(v)
	if err != nil {
		t.Fatalf("NewValue(%#v): %v", v, err)
	}
	wire, err := proto.Marshal(m)
	if err != nil {
		t.Fatalf("marshal %#v: %v", v, err)
	}
	var got Value
	if err := proto.Unmarshal(wire, &got); err != nil {
		t.Fatalf("unmarshal %#v: %v", v, err)
	}
	return got.Any()
}

// same compares values bit by bit, so that -0 and NaN count.
func same(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && math.Float64bits(a) == math.Float64bits(b)
	case []byte:
		b, ok := b.([]byte)
		return ok && bytes.Equal(a, b) && b != nil
	case time.Time:
		b, ok := b.(time.Time)
		return ok && a.Equal(b)
	case *big.Int:
		b, ok := b.(*big.Int)
		return ok && a.Cmp(b) == 0
	}
	return a == b
}

func TestValueRoundTrip(t *testing.T) {
	for _, v := range []any{
		nil, int64(0), int64(math.MinInt64), int64(math.MaxInt64),
		0.0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), math.SmallestNonzeroFloat64, 1e300,
		"", "text", "a\x00b", "\xff not UTF-8", "snow ☃", []byte{}, []byte{0, 255},
		true, false, time.Unix(0, 1), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		new(big.Int).Lsh(big.NewInt(-1), 127), new(big.Int),
	} {
		if got := roundTrip(t, v); !same(v, got) {
			t.Errorf("%#v came back as %#v", v, got)
		}
	}
	if got := roundTrip(t, []byte(nil)); !same([]byte{}, got) {
		t.Errorf("a nil blob came back as %#v, want an empty one", got)
	}
	if got := roundTrip(t, time.Date(20_000, 1, 2, 3, 4, 5, 6000, time.UTC)); got != "20000-01-02 03:04:05.000006" {
		t.Errorf("a time that has no message came back as %#v", got)
	}
}

func TestValueOfAnotherType(t *testing.T) {
	if _, err := NewRow([]any{int64(1), struct{}{}}); err == nil || err.Error() != "column 2: a struct {} is no column value" {
		t.Errorf("got %v", err)
	}
}

func TestRowRoundTrip(t *testing.T) {
	want := []any{int64(1), nil, "x", []byte("y"), 2.5}
	row, err := NewRow(want)
	if err != nil {
		t.Fatal(err)
	}
	got := row.Anys()
	if len(got) != len(want) {
		t.Fatalf("%d values came back, want %d", len(got), len(want))
	}
	for i := range want {
		if !same(want[i], got[i]) {
			t.Errorf("value %d: %#v came back as %#v", i, want[i], got[i])
		}
	}
}

func FuzzValue(f *testing.F) {
	f.Add(int64(-1), 1.5, "text", []byte("blob"))
	f.Add(int64(math.MaxInt64), math.Inf(-1), "\xc3\x28", []byte{})
	f.Fuzz(func(t *testing.T, i int64, r float64, s string, b []byte) {
		if b == nil {
			b = []byte{}
		}
		for _, v := range []any{i, r, s, b} {
			if got := roundTrip(t, v); !same(v, got) {
				t.Errorf("%#v came back as %#v", v, got)
			}
		}
	})
}

// FuzzValueWire feeds a decoder what a stranger may send.
func FuzzValueWire(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{8, 1})
	f.Add([]byte{42, 2, 0xc3, 0x28})
	f.Add([]byte{66, 2, '+', '1'})
	f.Add([]byte{66, 1, 'x'})
	f.Add([]byte{58, 2, 16, 255})
	f.Fuzz(func(t *testing.T, wire []byte) {
		var m Value
		if proto.Unmarshal(wire, &m) != nil {
			return
		}
		if v := m.Any(); !same(v, roundTrip(t, v)) {
			t.Errorf("%x decodes as %#v, which does not survive", wire, v)
		}
	})
}
