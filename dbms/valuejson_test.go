package dbms_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

func TestValuesInJSON(t *testing.T) {
	values := []dbms.Value{
		nil, int64(0), int64(math.MinInt64), int64(math.MaxInt64), 0.0, math.Copysign(0, -1), 1.0, 1e300, math.Inf(1), math.Inf(-1), math.NaN(),
		"", "null", "é\x00\u2028<>&", "\xff\xfe", []byte{}, []byte("\x00\xff"),
	}
	text := dbms.MarshalValues(values)
	back, err := dbms.UnmarshalValues(text)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(values, back, cmpopts.EquateNaNs()); d != "" {
		t.Errorf("%s: %s", text, d)
	}
	if f := back[5].(float64); !math.Signbit(f) {
		t.Error("-0.0 lost its sign")
	}
}

func TestAnyValuesInJSON(t *testing.T) {
	value := rapid.OneOf(
		rapid.Just[dbms.Value](nil),
		rapid.Map(rapid.Int64(), func(v int64) dbms.Value { return v }),
		rapid.Map(rapid.Float64(), func(v float64) dbms.Value { return v }),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(v []byte) dbms.Value { return string(v) }),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(v []byte) dbms.Value { return v }),
	)
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(value).Draw(t, "values")
		back, err := dbms.UnmarshalValues(dbms.MarshalValues(values))
		if d := cmp.Diff(values, back, cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Fatal(err, d)
		}
	})
}

func TestBrokenValuesInJSON(t *testing.T) {
	for _, text := range []string{"", "x", "1", "[1.5]", "[true]", "[{}]", `[{"f":"x"}]`, `[{"b":"?"}]`, "[[]]", "[99999999999999999999]"} {
		if v, err := dbms.UnmarshalValues([]byte(text)); abi.KindOf(err) != abi.Corrupt {
			t.Errorf("%q gives %v, %v", text, v, err)
		}
	}
}
