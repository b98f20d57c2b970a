package dbosv1

import (
	"fmt"
	"math/big"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// NewValue returns the message for what a column holds: nil (NULL), int64,
// float64, string or []byte, and of the warehouse bool, time.Time and *big.Int
// too. A time that has no message is text. Another type is an error.
func NewValue(v any) (*Value, error) {
	switch v := v.(type) {
	case nil:
		return &Value{}, nil
	case int64:
		return &Value{Kind: &Value_Integer{Integer: v}}, nil
	case float64:
		return &Value{Kind: &Value_Real{Real: v}}, nil
	case string:
		// Databases hold text of any bytes; protobuf refuses it.
		if !utf8.ValidString(v) {
			return &Value{Kind: &Value_RawText{RawText: []byte(v)}}, nil
		}
		return &Value{Kind: &Value_Text{Text: v}}, nil
	case []byte:
		if v == nil {
			v = []byte{}
		}
		return &Value{Kind: &Value_Blob{Blob: v}}, nil
	case bool:
		return &Value{Kind: &Value_Boolean{Boolean: v}}, nil
	case time.Time:
		t := timestamppb.New(v)
		if !t.IsValid() { // before the year 1, or after 9999
			return NewValue(v.UTC().Format("2006-01-02 15:04:05.999999999"))
		}
		return &Value{Kind: &Value_Time{Time: t}}, nil
	case *big.Int:
		return &Value{Kind: &Value_BigInteger{BigInteger: v.String()}}, nil
	}
	return nil, fmt.Errorf("a %T is no column value", v)
}

// Any returns the value as NewValue takes it; a time is in UTC. A nil message,
// a kind of a newer version, and a time or big integer that is none, are nil.
func (x *Value) Any() any {
	switch k := x.GetKind().(type) {
	case *Value_Integer:
		return k.Integer
	case *Value_Real:
		return k.Real
	case *Value_Text:
		return k.Text
	case *Value_RawText:
		return string(k.RawText)
	case *Value_Blob:
		if k.Blob == nil {
			return []byte{} // decoders may drop an empty one; it is not NULL
		}
		return k.Blob
	case *Value_Boolean:
		return k.Boolean
	case *Value_Time:
		if k.Time.IsValid() {
			return k.Time.AsTime()
		}
	case *Value_BigInteger:
		if n, ok := new(big.Int).SetString(k.BigInteger, 10); ok {
			return n
		}
	}
	return nil
}

// NewRow returns the message for a row; see NewValue.
func NewRow(values []any) (*Row, error) {
	row := &Row{Values: make([]*Value, len(values))}
	for i, v := range values {
		value, err := NewValue(v)
		if err != nil {
			return nil, fmt.Errorf("column %d: %w", i+1, err)
		}
		row.Values[i] = value
	}
	return row, nil
}

// Anys returns the row's values; see Value.Any.
func (x *Row) Anys() []any {
	values := make([]any, len(x.GetValues()))
	for i, v := range x.GetValues() {
		values[i] = v.Any()
	}
	return values
}
