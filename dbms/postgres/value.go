package postgres

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Formats of the protocol.
const (
	textFormat   int16 = 0
	binaryFormat int16 = 1
)

// epoch is the server's zero of time, in microseconds since 1970.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()

// formatOf is the format in which a type is asked for and sent.
func formatOf(oid uint32) int16 {
	switch oid {
	case pgtype.BoolOID, pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID,
		pgtype.Float4OID, pgtype.Float8OID, pgtype.ByteaOID, pgtype.TimestamptzOID:
		return binaryFormat
	}
	return textFormat
}

// decodeValue makes the Value of a column: integers, OIDs and booleans are
// int64; floats float64; numeric is int64 if it has no decimal places and
// fits, else its text; bytea []byte; timestamptz microseconds since 1970 (its
// text if infinite); everything else is its text. raw nil is NULL.
func decodeValue(oid uint32, format int16, raw []byte) (dbms.Value, error) {
	if raw == nil {
		return nil, nil
	}
	if format == textFormat {
		return decodeText(oid, string(raw))
	}
	v, ok := decodeBinary(oid, raw)
	if !ok {
		return nil, abi.Errorf("dbms.scan", abi.Corrupt, fmt.Sprintf("column of type %d", oid), "%d bytes are no such value", len(raw))
	}
	return v, nil
}

func decodeBinary(oid uint32, raw []byte) (dbms.Value, bool) {
	be := binary.BigEndian
	switch n := len(raw); {
	case oid == pgtype.ByteaOID:
		return append(make([]byte, 0, n), raw...), true
	case oid == pgtype.BoolOID && n == 1:
		return int64(raw[0]), true
	case oid == pgtype.Int2OID && n == 2:
		return int64(int16(be.Uint16(raw))), true
	case oid == pgtype.Int4OID && n == 4:
		return int64(int32(be.Uint32(raw))), true
	case oid == pgtype.OIDOID && n == 4:
		return int64(be.Uint32(raw)), true
	case oid == pgtype.Int8OID && n == 8:
		return int64(be.Uint64(raw)), true
	case oid == pgtype.Float4OID && n == 4:
		return float64(math.Float32frombits(be.Uint32(raw))), true
	case oid == pgtype.Float8OID && n == 8:
		return math.Float64frombits(be.Uint64(raw)), true
	case oid == pgtype.TimestamptzOID && n == 8:
		switch at := int64(be.Uint64(raw)); at {
		case math.MaxInt64:
			return "infinity", true
		case math.MinInt64:
			return "-infinity", true
		default:
			return at + epoch, true
		}
	}
	if formatOf(oid) == textFormat {
		return string(raw), true // text types are the same in both formats
	}
	return nil, false
}

// decodeText makes the Value of a column in its text form.
func decodeText(oid uint32, text string) (dbms.Value, error) {
	bad := func(err error) (dbms.Value, error) {
		return nil, abi.Errorf("dbms.scan", abi.Corrupt, fmt.Sprintf("column of type %d", oid), "%q: %w", text, err)
	}
	switch oid {
	case pgtype.BoolOID:
		if text == "t" || text == "true" {
			return int64(1), nil
		}
		return int64(0), nil
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return bad(err)
		}
		return n, nil
	case pgtype.Float4OID, pgtype.Float8OID:
		bits := 64
		if oid == pgtype.Float4OID {
			bits = 32
		}
		f, err := strconv.ParseFloat(text, bits)
		if err != nil {
			return bad(err)
		}
		return f, nil
	case pgtype.NumericOID:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
		return text, nil
	case pgtype.ByteaOID:
		b, err := hex.DecodeString(strings.TrimPrefix(text, `\x`))
		if err != nil {
			return bad(err)
		}
		return b, nil
	case pgtype.TimestamptzOID:
		return decodeTime(text)
	}
	return text, nil
}

func decodeTime(text string) (dbms.Value, error) {
	for _, layout := range []string{"2006-01-02 15:04:05.999999999Z07", "2006-01-02 15:04:05.999999999Z07:00"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UnixMicro(), nil
		}
	}
	return text, nil
}

// A param is an argument as it is sent.
type param struct {
	format int16
	bytes  []byte // nil is NULL
}

// hintOf is the type that an argument is declared to have, or 0 to let the
// server infer it.
func hintOf(v dbms.Value) uint32 {
	switch v.(type) {
	case int64:
		return pgtype.Int8OID
	case float64:
		return pgtype.Float8OID
	case []byte:
		return pgtype.ByteaOID
	}
	return 0
}

// encodeParam makes a parameter of the type of a Value; arg is the argument
// that the Value was made of.
func encodeParam(oid uint32, v dbms.Value, arg any) (param, error) {
	switch v := v.(type) {
	case nil:
		return param{}, nil
	case int64:
		return encodeInt(oid, v, arg)
	case float64:
		if oid == pgtype.Float8OID {
			return param{binaryFormat, binary.BigEndian.AppendUint64(nil, math.Float64bits(v))}, nil
		}
		return textParam(strconv.FormatFloat(v, 'g', -1, 64)), nil
	case []byte:
		if oid == pgtype.ByteaOID {
			return param{binaryFormat, v}, nil
		}
		return textParam(string(v)), nil
	case string:
		if oid == pgtype.ByteaOID {
			return param{binaryFormat, []byte(v)}, nil
		}
		if strings.ContainsRune(v, 0) {
			return param{}, abi.Errorf("dbms.bind", abi.Invalid, "argument", "text cannot hold the character NUL").
				WithHint("pass it as []byte into a bytea column")
		}
		return textParam(v), nil
	}
	return param{}, abi.Errorf("dbms.bind", abi.Invalid, "argument", "%T is no value", v)
}

func textParam(s string) param { return param{textFormat, append([]byte{}, s...)} }

func encodeInt(oid uint32, v int64, arg any) (param, error) {
	be := binary.BigEndian
	switch oid {
	case pgtype.Int8OID:
		return param{binaryFormat, be.AppendUint64(nil, uint64(v))}, nil
	case pgtype.BoolOID:
		return textParam(strconv.FormatBool(v != 0)), nil
	case pgtype.TimestamptzOID:
		if isTime(arg) {
			return param{binaryFormat, be.AppendUint64(nil, uint64(v-epoch))}, nil
		}
	case pgtype.TimestampOID, pgtype.DateOID:
		if isTime(arg) {
			return textParam(time.UnixMicro(v).UTC().Format("2006-01-02 15:04:05.999999")), nil
		}
	}
	return textParam(strconv.FormatInt(v, 10)), nil
}

func isTime(arg any) bool {
	switch arg.(type) {
	case time.Time, *time.Time:
		return true
	}
	return false
}
