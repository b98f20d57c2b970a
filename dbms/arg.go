package dbms

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/dbos-go/dbos/abi"
)

// ToValue converts an argument of Exec or Query to the Value that is stored.
// It takes nil, booleans (0 or 1), all integers, floats, strings, []byte,
// json.RawMessage (text), time.Time (microseconds since 1970), types whose
// underlying type is one of these, and pointers to them (nil is NULL). What
// a database would alter in silence is refused with abi.Invalid: NaN, an
// unsigned integer above 2⁶³−1, a time outside years 1 to 9999.
func ToValue(arg any) (Value, error) {
	switch a := arg.(type) {
	case nil:
		return nil, nil
	case int64:
		return a, nil
	case int:
		return int64(a), nil
	case string:
		return a, nil
	case []byte:
		if a == nil {
			return nil, nil
		}
		return a, nil
	case *string:
		if a == nil {
			return nil, nil
		}
		return *a, nil
	case *time.Time:
		if a == nil {
			return nil, nil
		}
		return timeValue(*a)
	case bool:
		if a {
			return int64(1), nil
		}
		return int64(0), nil
	case LSN:
		return int64(a), nil
	case abi.Principal:
		return string(a), nil
	case json.RawMessage:
		if a == nil {
			return nil, nil
		}
		return string(a), nil
	case time.Time:
		return timeValue(a)
	case float64:
		return floatValue(a)
	}
	return reflectValue(reflect.ValueOf(arg))
}

func reflectValue(v reflect.Value) (Value, error) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, nil
		}
		return ToValue(v.Elem().Interface())
	case reflect.Bool:
		return ToValue(v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if v.Uint() > math.MaxInt64 {
			return nil, badArg(fmt.Sprintf("%d is above the largest 64-bit integer %d", v.Uint(), int64(math.MaxInt64)))
		}
		return int64(v.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return floatValue(v.Float())
	case reflect.String:
		return v.String(), nil
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return ToValue(v.Bytes())
		}
	}
	return nil, badArg(fmt.Sprintf("a %s is no column value; pass a number, string, []byte, bool, time.Time or nil, or marshal it to JSON", v.Type()))
}

func floatValue(f float64) (Value, error) {
	if math.IsNaN(f) {
		return nil, badArg("NaN cannot be stored; pass nil for an unknown number")
	}
	return f, nil
}

func timeValue(t time.Time) (Value, error) {
	if y := t.UTC().Year(); y < 1 || y > 9999 {
		return nil, badArg(fmt.Sprintf("year %d is outside 1 to 9999", y))
	}
	return t.UnixMicro(), nil
}

func badArg(problem string) error {
	return abi.Errorf("dbms.bind", abi.Invalid, "argument", "%s", problem)
}
