package dbms

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/dbos-go/dbos/abi"
)

// MarshalValues writes values as a JSON array from which UnmarshalValues makes
// exactly the same: integers are numbers, texts strings, NULL null; the rest
// is an object of one member, {"f": "1.5"} for a float, {"b": …} for bytes and
// {"t": …} for a text that is not valid UTF-8, both in base64.
func MarshalValues(values []Value) []byte {
	b := make([]byte, 0, 2+12*len(values))
	b = append(b, '[')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendValue(b, v)
	}
	return append(b, ']')
}

// AppendValue appends one value, as MarshalValues writes it.
func AppendValue(b []byte, v Value) []byte {
	switch x := v.(type) {
	case int64:
		return strconv.AppendInt(b, x, 10)
	case float64:
		return append(strconv.AppendFloat(append(b, `{"f":"`...), x, 'g', -1, 64), `"}`...)
	case string:
		if utf8.ValidString(x) {
			text, _ := json.Marshal(x) // a valid string always can
			return append(b, text...)
		}
		return appendBase64(b, "t", []byte(x))
	case []byte:
		return appendBase64(b, "b", x)
	}
	return append(b, "null"...)
}

func appendBase64(b []byte, member string, data []byte) []byte {
	b = append(append(append(b, `{"`...), member...), `":"`...)
	return append(base64.StdEncoding.AppendEncode(b, data), `"}`...)
}

// UnmarshalValues reads what MarshalValues has written.
func UnmarshalValues(text []byte) ([]Value, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, valueError(err)
	}
	values := make([]Value, len(raw))
	for i, r := range raw {
		var err error
		if values[i], err = unmarshalValue(r); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func unmarshalValue(text json.RawMessage) (Value, error) {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		return nil, valueError(nil)
	case text[0] == 'n':
		return nil, nil
	case text[0] == '"':
		var s string
		if err := json.Unmarshal(text, &s); err != nil {
			return nil, valueError(err)
		}
		return s, nil
	case text[0] != '{':
		n, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil {
			return nil, valueError(err)
		}
		return n, nil
	}
	var o struct {
		F    *string
		B, T *[]byte
	}
	if err := json.Unmarshal(text, &o); err != nil {
		return nil, valueError(err)
	}
	switch {
	case o.F != nil:
		f, err := strconv.ParseFloat(*o.F, 64)
		if err != nil {
			return nil, valueError(err)
		}
		return f, nil
	case o.B != nil:
		return *o.B, nil
	case o.T != nil:
		return string(*o.T), nil
	}
	return nil, valueError(nil)
}

func valueError(cause error) error {
	return &abi.Error{Op: "dbms.values", Kind: abi.Corrupt, Resource: "value", Err: cause}
}
