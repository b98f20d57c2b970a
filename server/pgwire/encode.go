package pgwire

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// encode appends a value that is not NULL, in the field's type and format.
// Instants are written in a zone.
func (f field) encode(b []byte, v any, zone *time.Location) ([]byte, error) {
	if f.format == binaryFormat {
		return f.binary(b, v, zone)
	}
	return f.text(b, v, zone)
}

func (f field) text(b []byte, v any, zone *time.Location) ([]byte, error) {
	switch v := v.(type) {
	case string:
		if f.oid == pgtype.IntervalOID {
			v = months.Replace(v)
		}
		return append(b, v...), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case bool:
		if f.oid == pgtype.BoolOID {
			return append(b, map[bool]byte{true: 't', false: 'f'}[v]), nil
		}
		return strconv.AppendBool(b, v), nil
	case float64:
		return appendReal(b, v, f.oid), nil
	case []byte:
		return hex.AppendEncode(append(b, `\x`...), v), nil
	case time.Time:
		return f.appendTime(b, v, zone), nil
	case *big.Int:
		return v.Append(b, 10), nil
	}
	return fmt.Append(b, v), nil
}

// appendReal writes a number as PostgreSQL does: the shortest text that reads
// back as it.
func appendReal(b []byte, v float64, oid uint32) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(b, "Infinity"...)
	case math.IsInf(v, -1):
		return append(b, "-Infinity"...)
	case oid == pgtype.Float4OID:
		return appendShortest(b, v, 32, 6)
	}
	return appendShortest(b, v, 64, 15)
}

func appendShortest(b []byte, v float64, bits, digits int) []byte {
	exponent := 0
	if v != 0 {
		exponent = int(math.Floor(math.Log10(math.Abs(v))))
	}
	if exponent < -4 || exponent >= digits {
		return strconv.AppendFloat(b, v, 'e', -1, bits)
	}
	return strconv.AppendFloat(b, v, 'f', -1, bits)
}

// months are called otherwise by PostgreSQL.
var months = strings.NewReplacer("months", "mons", "month", "mon")

func (f field) appendTime(b []byte, t time.Time, zone *time.Location) []byte {
	layout := "2006-01-02 15:04:05.999999"
	switch f.oid {
	case pgtype.DateOID:
		layout = "2006-01-02"
	case pgtype.TimeOID:
		return t.AppendFormat(b, "15:04:05.999999")
	case pgtype.TimestamptzOID:
		t = t.In(zone)
		layout += "-07"
		if _, offset := t.Zone(); offset%3600 != 0 {
			layout += ":00"
		}
	}
	if year := t.Year(); year < 1 { // before Christ, where there is no year 0
		return append(t.AddDate(1-2*year, 0, 0).AppendFormat(b, layout), " BC"...)
	}
	return t.AppendFormat(b, layout)
}

func (f field) binary(b []byte, v any, zone *time.Location) ([]byte, error) {
	switch f.oid {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
		if n, ok := v.(int64); ok {
			return appendInteger(b, n, f.size()), nil
		}
	case pgtype.Float8OID:
		if x, ok := real(v); ok {
			return binary.BigEndian.AppendUint64(b, math.Float64bits(x)), nil
		}
	case pgtype.Float4OID:
		if x, ok := real(v); ok {
			return binary.BigEndian.AppendUint32(b, math.Float32bits(float32(x))), nil
		}
	case pgtype.BoolOID:
		if x, ok := v.(bool); ok {
			return append(b, map[bool]byte{true: 1, false: 0}[x]), nil
		}
	case pgtype.ByteaOID:
		if x, ok := v.([]byte); ok {
			return append(b, x...), nil
		}
	case pgtype.TextOID, pgtype.JSONOID:
		return f.text(b, v, zone)
	case pgtype.DateOID, pgtype.TimeOID, pgtype.TimestampOID, pgtype.TimestamptzOID:
		return f.binaryTime(b, v)
	case pgtype.NumericOID:
		return f.binaryNumeric(b, v, zone)
	case pgtype.UUIDOID:
		var id pgtype.UUID
		if err := id.Scan(v); err == nil {
			return append(b, id.Bytes[:]...), nil
		}
	case pgtype.IntervalOID:
		var i pgtype.Interval
		text, _ := v.(string)
		if err := i.Scan(months.Replace(text)); err == nil {
			b = binary.BigEndian.AppendUint64(b, uint64(i.Microseconds))
			b = binary.BigEndian.AppendUint32(b, uint32(i.Days))
			return binary.BigEndian.AppendUint32(b, uint32(i.Months)), nil
		}
	}
	return b, f.mismatch(v)
}

func (f field) mismatch(v any) error {
	return failure("0A000", "column %q has a value of type %T that its type has no binary form for; cast it to text", f.name, v)
}

func appendInteger(b []byte, n int64, size int16) []byte {
	switch size {
	case 2:
		return binary.BigEndian.AppendUint16(b, uint16(n))
	case 4:
		return binary.BigEndian.AppendUint32(b, uint32(n))
	}
	return binary.BigEndian.AppendUint64(b, uint64(n))
}

func real(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	}
	return 0, false
}

// epoch is where PostgreSQL counts from.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (f field) binaryTime(b []byte, v any) ([]byte, error) {
	t, ok := v.(time.Time)
	if text, isText := v.(string); isText && f.oid == pgtype.TimeOID {
		var err error
		t, err = time.Parse("15:04:05.999999999", text)
		ok = err == nil
	}
	if !ok {
		return b, f.mismatch(v)
	}
	switch f.oid {
	case pgtype.DateOID:
		return binary.BigEndian.AppendUint32(b, uint32((t.Unix()-epoch.Unix())/86_400)), nil
	case pgtype.TimeOID:
		h, m, s := t.Clock()
		return binary.BigEndian.AppendUint64(b, uint64((h*3600+m*60+s)*1_000_000+t.Nanosecond()/1000)), nil
	}
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMicro()-epoch.UnixMicro())), nil
}

func (f field) binaryNumeric(b []byte, v any, zone *time.Location) ([]byte, error) {
	text, err := f.text(nil, v, zone)
	if err != nil {
		return b, err
	}
	var n pgtype.Numeric
	if err := n.Scan(string(text)); err != nil {
		return b, f.mismatch(v)
	}
	plan := pgtype.NumericCodec{}.PlanEncode(nil, pgtype.NumericOID, binaryFormat, n)
	if plan == nil {
		return b, f.mismatch(v)
	}
	return plan.Encode(n, b)
}
