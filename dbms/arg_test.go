package dbms_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"pgregory.net/rapid"
)

type (
	state   string
	degrees float64
	counter uint16
	flag    bool
	digest  []byte
)

func TestToValue(t *testing.T) {
	text, at := "x", time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.FixedZone("", 3600))
	pointer := &text
	var none *string
	for _, c := range []struct {
		arg  any
		want dbms.Value
	}{
		{nil, nil}, {none, nil}, {&none, nil}, {[]byte(nil), nil}, {digest(nil), nil}, {json.RawMessage(nil), nil},
		{true, int64(1)}, {false, int64(0)}, {flag(true), int64(1)},
		{math.MinInt64, int64(math.MinInt64)}, {int8(-1), int64(-1)}, {uint64(math.MaxInt64), int64(math.MaxInt64)}, {counter(7), int64(7)},
		{dbms.LSN(9), int64(9)}, {time.Second, int64(time.Second)}, {abi.Invalid, int64(1)},
		{1.5, 1.5}, {float32(0.5), 0.5}, {degrees(-1), -1.0}, {math.Inf(1), math.Inf(1)}, {math.Inf(-1), math.Inf(-1)},
		{"", ""}, {"\xff\x00", "\xff\x00"}, {state("on"), "on"}, {abi.Principal("user:ada"), "user:ada"}, {&pointer, "x"},
		{[]byte{}, []byte{}}, {[]byte{0, 1}, []byte{0, 1}}, {digest{2}, []byte{2}}, {json.RawMessage(`{}`), "{}"},
		{at, at.UnixMicro()}, {&at, at.UnixMicro()}, {time.Unix(0, 0), int64(0)}, {time.Time{}, time.Time{}.UnixMicro()},
		{time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), int64(253402300799999999)},
	} {
		got, err := dbms.ToValue(c.arg)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("ToValue(%T %v) = %T %v, %v; want %T %v", c.arg, c.arg, got, got, err, c.want, c.want)
		}
	}
}

func TestToValueRefuses(t *testing.T) {
	nan, large := math.NaN(), uint64(math.MaxInt64+1)
	for _, arg := range []any{
		nan, &nan, float32(nan), degrees(nan), large, &large, uint(math.MaxUint64), uintptr(1), complex(1, 2), make(chan int), func() {},
		struct{}{}, &struct{ A int }{}, []int{1}, []string{"a"}, [2]byte{}, map[string]any{}, errors.New("x"),
		time.Date(0, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -7200)), // the year 10000 in UTC
	} {
		if got, err := dbms.ToValue(arg); !errors.Is(err, abi.Invalid) || got != nil {
			t.Errorf("ToValue(%T %v) = %v, %v; want an error of kind Invalid", arg, arg, got, err)
		}
	}
}

// TestRoundTrip: what ToValue makes of a value, Assign gives back, plain,
// through a pointer, and as it is stored.
func TestRoundTrip(t *testing.T) {
	t.Run("int64", roundTrip(rapid.Int64(), same))
	t.Run("int", roundTrip(rapid.Int(), same))
	t.Run("bool", roundTrip(rapid.Bool(), same))
	t.Run("float64", roundTrip(rapid.Float64(), same))
	t.Run("string", roundTrip(rapid.String(), same))
	t.Run("LSN", roundTrip(rapid.Map(rapid.Int64(), func(n int64) dbms.LSN { return dbms.LSN(n) }), same))
	t.Run("principal", roundTrip(rapid.Map(rapid.String(), func(s string) abi.Principal { return abi.Principal(s) }), same))
	t.Run("bytes", roundTrip(rapid.SliceOf(rapid.Byte()), func(a, b []byte) bool { return (a == nil) == (b == nil) && string(a) == string(b) }))
	t.Run("JSON", roundTrip(rapid.Map(rapid.String(), func(s string) json.RawMessage { return json.RawMessage(s) }),
		func(a, b json.RawMessage) bool { return string(a) == string(b) }))
	instant := rapid.Map(rapid.Int64Range(-62135596800000000, 253402300799999999), time.UnixMicro)
	t.Run("time", roundTrip(instant, func(a, b time.Time) bool { return a.Equal(b) && b.Location() == time.UTC }))
}

func same[T comparable](a, b T) bool { return a == b }

func roundTrip[T any](values *rapid.Generator[T], equal func(a, b T) bool) func(*testing.T) {
	return rapid.MakeCheck(func(t *rapid.T) {
		x := values.Draw(t, "value")
		v, err := dbms.ToValue(x)
		if err != nil {
			t.Fatalf("ToValue: %v", err)
		}
		var plain T
		if err := dbms.Assign(&plain, v); err != nil || !equal(x, plain) {
			t.Fatalf("%v is stored as %v and comes back as %v, error %v", x, v, plain, err)
		}
		var pointer *T
		if err := dbms.Assign(&pointer, v); err != nil || pointer == nil || !equal(x, *pointer) {
			t.Fatalf("%v is stored as %v and comes back as pointer %v, error %v", x, v, pointer, err)
		}
		if err := dbms.Assign(&pointer, nil); err != nil || pointer != nil {
			t.Fatalf("NULL comes back as pointer %v, error %v", pointer, err)
		}
		var stored any
		if err := dbms.Assign(&stored, v); err != nil || !reflect.DeepEqual(stored, v) {
			t.Fatalf("value %v comes back as %v, error %v", v, stored, err)
		}
	})
}
