package pgwire

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
)

// duckTypes are what parameters are cast to whose type the client told, and
// whose value alone does not say it: a text that is a number with decimals, for
// example.
var duckTypes = map[uint32]string{
	pgtype.DateOID: "DATE", pgtype.TimeOID: "TIME", pgtype.TimestampOID: "TIMESTAMP", pgtype.TimestamptzOID: "TIMESTAMPTZ",
	pgtype.IntervalOID: "INTERVAL", pgtype.UUIDOID: "UUID", pgtype.Int2OID: "SMALLINT", pgtype.Int4OID: "INTEGER", pgtype.Float4OID: "FLOAT",
	pgtype.BoolArrayOID: "BOOLEAN[]", pgtype.Int2ArrayOID: "SMALLINT[]", pgtype.Int4ArrayOID: "INTEGER[]", pgtype.Int8ArrayOID: "BIGINT[]",
	pgtype.Float8ArrayOID: "DOUBLE[]", pgtype.TextArrayOID: "VARCHAR[]", pgtype.VarcharArrayOID: "VARCHAR[]", pgtype.UUIDArrayOID: "UUID[]",
}

// decode reads an argument in the type that the client sends it as; 0 is one
// that nobody told, whose text DuckDB reads as the place where it stands asks.
func decode(oid uint32, format int16, raw []byte) (any, error) {
	if raw == nil {
		return nil, nil
	}
	if format != textFormat && format != binaryFormat {
		return nil, failure(protocolViolation, "invalid format code %d", format)
	}
	v, err := decodeValue(oid, format, raw)
	if err != nil {
		return nil, err
	}
	text, ok := v.(string)
	if ok && (strings.Contains(text, "\x00") || !utf8.ValidString(text)) {
		return nil, failure("22021", "a parameter is not text in UTF-8, or has a zero byte")
	}
	if ok && oid == 0 {
		return untold(text), nil
	}
	return v, nil
}

func decodeValue(oid uint32, format int16, raw []byte) (any, error) {
	switch oid {
	case pgtype.BoolOID:
		return scan[bool](oid, format, raw)
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		return scan[int64](oid, format, raw)
	case pgtype.Float4OID, pgtype.Float8OID:
		return scan[float64](oid, format, raw)
	case pgtype.ByteaOID:
		return scan[[]byte](oid, format, raw)
	case pgtype.NumericOID:
		return decodeNumeric(format, raw)
	case pgtype.DateOID, pgtype.TimestampOID, pgtype.TimestamptzOID:
		if format == binaryFormat {
			return decodeTime(oid, raw)
		}
	case pgtype.TimeOID, pgtype.IntervalOID, pgtype.UUIDOID:
		if format == binaryFormat {
			return scan[string](oid, format, raw)
		}
	case pgtype.JSONBOID:
		if format == binaryFormat && len(raw) > 0 {
			raw = raw[1:] // its version
		}
	default:
		if list, ok := elements[oid]; ok {
			return list(oid, format, raw)
		}
		if format == binaryFormat && !texts[oid] {
			return nil, failure("0A000", "parameters of the type with OID %d cannot be taken in binary form", oid)
		}
	}
	return string(raw), nil
}

// texts are the types whose binary form is their text. What nobody told the
// type of is bytes in binary form: it is taken for text too.
var texts = map[uint32]bool{
	0: true, pgtype.TextOID: true, pgtype.VarcharOID: true, pgtype.BPCharOID: true, pgtype.NameOID: true, pgtype.JSONOID: true,
	pgtype.UnknownOID: true, pgtype.QCharOID: true,
}

// scan reads a value with pgx's codecs. A Map keeps plans and is for one
// goroutine, so that each value has one; arguments are few.
func scan[T any](oid uint32, format int16, raw []byte) (any, error) {
	var v T
	if err := scanInto(oid, format, raw, &v); err != nil {
		return nil, err
	}
	return v, nil
}

func scanInto(oid uint32, format int16, raw []byte, dest any) error {
	if err := pgtype.NewMap().Scan(oid, format, raw, dest); err != nil {
		if format == binaryFormat {
			return failure("22P03", "incorrect binary data format in a parameter: %v", err)
		}
		return failure("22P02", "invalid input syntax for a parameter of type %s: %q", formatType(oid, -1), raw)
	}
	return nil
}

func decodeTime(oid uint32, raw []byte) (any, error) {
	var v time.Time
	if err := scanInto(oid, binaryFormat, raw, &v); err != nil {
		return nil, failure("22008", "a time is not finite, or cannot be read: %v", err)
	}
	return v.UTC(), nil
}

// decodeNumeric reads a number of any size: an integer, or a text with a
// decimal point.
func decodeNumeric(format int16, raw []byte) (any, error) {
	var n pgtype.Numeric
	if err := scanInto(pgtype.NumericOID, format, raw, &n); err != nil {
		return nil, err
	}
	switch {
	case n.NaN:
		return math.NaN(), nil
	case n.InfinityModifier != pgtype.Finite:
		return math.Inf(int(n.InfinityModifier)), nil
	case n.Exp >= 0 && n.Exp < 40:
		i := new(big.Int).Mul(n.Int, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n.Exp)), nil))
		if i.IsInt64() {
			return i.Int64(), nil
		}
		return i, nil
	case n.Exp < 0 && n.Exp > -38 && len(n.Int.String()) <= 38:
		digits := new(big.Int).Abs(n.Int).String()
		if short := 1 - int(n.Exp) - len(digits); short > 0 {
			digits = strings.Repeat("0", short) + digits
		}
		point := len(digits) + int(n.Exp)
		sign := ""
		if n.Int.Sign() < 0 {
			sign = "-"
		}
		return decimal(sign + digits[:point] + "." + digits[point:]), nil
	}
	f, err := n.Float64Value()
	if err != nil {
		return nil, failure("22003", "a number is out of range: %v", err)
	}
	return f.Float64, nil
}

// An untold argument is a text whose type nobody told. DuckDB reads it as the
// place where it stands asks, as it does with a literal.
type untold string

// told returns arguments as a Source takes them: untold ones as texts or, if
// they look like numbers and numbers are asked for, as these.
func told(args []any, numbers bool) (list []any, changed bool) {
	list = slices.Clone(args)
	for i, arg := range list {
		text, ok := arg.(untold)
		if !ok {
			continue
		}
		list[i] = string(text)
		if !numbers {
			continue
		}
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			list[i], changed = n, true
		} else if f, err := strconv.ParseFloat(string(text), 64); err == nil {
			list[i], changed = f, true
		}
	}
	return list, changed
}

// A decimal is a number with a decimal point.
type decimal string

// elements read the types that are lists.
var elements = map[uint32]func(uint32, int16, []byte) (any, error){
	pgtype.BoolArrayOID: readList[bool], pgtype.Int2ArrayOID: readList[int64], pgtype.Int4ArrayOID: readList[int64], pgtype.Int8ArrayOID: readList[int64],
	pgtype.Float8ArrayOID: readList[float64], pgtype.TextArrayOID: readList[string], pgtype.VarcharArrayOID: readList[string], pgtype.UUIDArrayOID: readList[string],
}

// readList reads a list, and writes it as DuckDB does.
func readList[T any](oid uint32, format int16, raw []byte) (any, error) {
	var list pgtype.FlatArray[*T]
	if err := scanInto(oid, format, raw, &list); err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteByte('[')
	for i, v := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		switch v := any(v).(type) {
		case *string:
			if v == nil {
				b.WriteString("NULL")
			} else {
				b.WriteString(listText(*v))
			}
		case *T:
			if v == nil {
				b.WriteString("NULL")
			} else {
				fmt.Fprint(&b, *v)
			}
		}
	}
	b.WriteByte(']')
	return b.String(), nil
}

// listText quotes an element of a list's text.
func listText(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// bindTypes returns the statement with casts at the parameters whose types the
// client told and whose arguments do not say them, and the arguments as a Source
// takes them.
func bindTypes(st *statement, declared []uint32, args []any) (*statement, []any) {
	casts := map[int]string{}
	for i := range args {
		cast := duckTypes[declared[i]]
		if d, ok := args[i].(decimal); ok {
			_, decimals, _ := strings.Cut(string(d), ".")
			args[i], cast = string(d), "DECIMAL(38,"+strconv.Itoa(len(decimals))+")"
		}
		if cast != "" {
			casts[i+1] = cast
		}
	}
	args = args[:min(len(args), st.parameters())]
	if len(casts) == 0 {
		return st, args
	}
	var b strings.Builder
	end := 0
	for _, t := range st.tokens {
		n, _ := strconv.Atoi(t.value)
		if cast, ok := casts[n]; ok && t.kind == paramToken {
			b.WriteString(st.text[end:t.pos] + "CAST(" + t.text + " AS " + cast + ")")
			end = t.end()
		}
	}
	b.WriteString(st.text[end:])
	if list := split(b.String()); len(list) == 1 {
		list[0].rewritten = true
		return list[0], args
	}
	return st, args
}
