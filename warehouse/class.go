//go:build cgo

package warehouse

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/dbos-go/dbos/dbms"
)

// A kind says how values are put into a column of the column store, and how they
// are got back. A value that a kind cannot give back exactly as it was is
// odd: the column then shows what comes closest, and the exact value is kept beside it.
type kind string

const (
	kindInteger   kind = "integer"   // int64 as BIGINT
	kindReal      kind = "real"      // float64 as DOUBLE
	kindText      kind = "text"      // string as VARCHAR
	kindBytes     kind = "bytes"     // []byte as BLOB
	kindNumber    kind = "number"    // SQLite's NUMERIC: a float64 without decimal places is an int64
	kindBoolean   kind = "boolean"   // 0 and 1 as BOOLEAN
	kindInstant   kind = "instant"   // microseconds since 1970 as TIMESTAMPTZ
	kindTimestamp kind = "timestamp" // PostgreSQL's text of it as TIMESTAMP
	kindDate      kind = "date"      // PostgreSQL's text of it as DATE
	kindDecimal   kind = "decimal"   // PostgreSQL's numeric(p, s): an int64 or its text
	kindNumeric   kind = "numeric"   // PostgreSQL's numeric: an int64 or its text, as DOUBLE
)

// A class is a kind and, for decimals, its size.
type class struct {
	Kind  kind  `json:"kind"`
	Width uint8 `json:"width,omitempty"`
	Scale uint8 `json:"scale,omitempty"`
}

// stored returns the column store's type.
func (c class) stored() string {
	switch c.Kind {
	case kindInteger:
		return "BIGINT"
	case kindReal, kindNumber, kindNumeric:
		return "DOUBLE"
	case kindBytes:
		return "BLOB"
	case kindBoolean:
		return "BOOLEAN"
	case kindInstant:
		return "TIMESTAMPTZ"
	case kindTimestamp:
		return "TIMESTAMP"
	case kindDate:
		return "DATE"
	case kindDecimal:
		return "DECIMAL(" + strconv.Itoa(int(c.Width)) + "," + strconv.Itoa(int(c.Scale)) + ")"
	}
	return "VARCHAR"
}

// classOf returns the class of a column from its declaration.
func classOf(engine, declared string) class {
	declared = strings.ToUpper(strings.TrimSpace(declared))
	if engine == "sqlite" {
		return class{Kind: affinity(declared)}
	}
	name, size, _ := strings.Cut(declared, "(")
	switch strings.TrimSpace(name) {
	case "BIGINT", "INTEGER", "SMALLINT", "INT", "INT2", "INT4", "INT8", "OID", "BIGSERIAL", "SERIAL", "SMALLSERIAL":
		return class{Kind: kindInteger}
	case "DOUBLE PRECISION", "REAL", "FLOAT4", "FLOAT8", "FLOAT":
		return class{Kind: kindReal}
	case "BYTEA":
		return class{Kind: kindBytes}
	case "BOOLEAN", "BOOL":
		return class{Kind: kindBoolean}
	case "DATE":
		return class{Kind: kindDate}
	case "TIMESTAMPTZ", "NUMERIC", "DECIMAL", "TIMESTAMP":
		return sized(strings.TrimSpace(name), size, declared)
	case "TIMESTAMP WITH TIME ZONE":
		return class{Kind: kindInstant}
	case "TIMESTAMP WITHOUT TIME ZONE":
		return class{Kind: kindTimestamp}
	}
	return class{Kind: kindText}
}

// sized returns the class of a type that may have a size in parentheses, and
// words behind them.
func sized(name, size, declared string) class {
	if strings.HasSuffix(declared, "]") {
		return class{Kind: kindText} // an array
	}
	if name == "TIMESTAMPTZ" || strings.HasSuffix(declared, "WITH TIME ZONE") {
		return class{Kind: kindInstant}
	}
	if name == "TIMESTAMP" {
		return class{Kind: kindTimestamp}
	}
	p, s, _ := strings.Cut(strings.TrimSuffix(size, ")"), ",")
	width, err := strconv.Atoi(strings.TrimSpace(p))
	if err != nil || width < 1 || width > 38 {
		return class{Kind: kindNumeric}
	}
	scale, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		scale = 0
	}
	if scale < 0 || scale > width {
		return class{Kind: kindNumeric}
	}
	return class{Kind: kindDecimal, Width: uint8(width), Scale: uint8(scale)}
}

// affinity is SQLite's own rule for what a column holds, told apart further
// where it says NUMERIC: dates, times and JSON are text in practice.
func affinity(declared string) kind {
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(declared, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("INT"):
		return kindInteger
	case has("CHAR", "CLOB", "TEXT"):
		return kindText
	case has("BLOB"):
		return kindBytes
	case has("REAL", "FLOA", "DOUB"):
		return kindReal
	case has("BOOL"):
		return kindInteger
	case has("NUM", "DEC", "MONEY"):
		return kindNumber
	}
	return kindText
}

// exactInteger is the largest integer up to which a float64 holds all of them.
const exactInteger = 1 << 53

// put returns what the column holds for a value, and whether get gives the
// value back from it.
func (c class) put(v dbms.Value) (any, bool) {
	if v == nil {
		return nil, true
	}
	switch x := v.(type) {
	case int64:
		return c.putInt(x)
	case float64:
		return c.putFloat(x)
	case string:
		return c.putText(x)
	case []byte:
		if c.Kind == kindBytes {
			return x, true
		}
		if c.Kind == kindText && utf8.Valid(x) {
			return string(x), false
		}
	}
	return nil, false
}

func (c class) putInt(v int64) (any, bool) {
	switch c.Kind {
	case kindInteger:
		return v, true
	case kindNumber, kindNumeric:
		return float64(v), v >= -exactInteger && v <= exactInteger
	case kindReal:
		return float64(v), false
	case kindBoolean:
		return v != 0, v == 0 || v == 1
	case kindInstant:
		if v == math.MaxInt64 || v <= -math.MaxInt64 { // these stand for infinity
			return nil, false
		}
		return time.UnixMicro(v).UTC(), true
	case kindDecimal:
		d, ok := c.decimal(strconv.FormatInt(v, 10))
		if !ok {
			return nil, false
		}
		return d, c.Scale == 0
	case kindText:
		return strconv.FormatInt(v, 10), false
	}
	return nil, false
}

func (c class) putFloat(v float64) (any, bool) {
	switch c.Kind {
	case kindReal:
		// Zero and minus zero are equal to the column store, and it may give one for the other.
		if v == 0 {
			return 0.0, !math.Signbit(v)
		}
		return v, true
	case kindNumber:
		// What looks like an integer is read back as one.
		whole := v == math.Trunc(v) && math.Abs(v) <= exactInteger
		return v + 0, !whole // minus zero becomes zero
	case kindNumeric:
		return v + 0, false
	case kindText:
		return strconv.FormatFloat(v, 'g', -1, 64), false
	}
	return nil, false
}

func (c class) putText(v string) (any, bool) {
	switch c.Kind {
	case kindText:
		if utf8.ValidString(v) {
			return v, true
		}
		return strings.ToValidUTF8(v, "\uFFFD"), false
	case kindBytes:
		return []byte(v), false
	case kindDecimal:
		d, ok := c.decimal(v)
		if !ok {
			return nil, false
		}
		back, isText := c.undecimal(d).(string)
		return d, isText && back == v
	case kindNumeric:
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || math.IsInf(f, 0) {
			return nil, false
		}
		back, isText := c.unnumeric(f).(string)
		return f, isText && back == v
	case kindTimestamp, kindDate:
		at, err := time.Parse(c.layout(), v)
		if err != nil {
			return nil, false
		}
		return at, at.Format(c.layout()) == v
	}
	return nil, false
}

func (c class) layout() string {
	if c.Kind == kindDate {
		return time.DateOnly
	}
	return "2006-01-02 15:04:05.999999"
}

// parameter returns how a statement takes what put has made as its n-th argument.
func (c class) parameter(n int, value any) (expr string, arg any) {
	if d, ok := value.(duckdb.Decimal); ok { // which the driver cannot bind
		return fmt.Sprintf("$%d::VARCHAR::%s", n, c.stored()), decimalText(d)
	}
	return fmt.Sprintf("$%d::%s", n, c.stored()), value
}

// get returns the value of which put made v.
func (c class) get(v any) dbms.Value {
	switch x := v.(type) {
	case nil:
		return nil
	case bool:
		if x {
			return int64(1)
		}
		return int64(0)
	case float64:
		switch c.Kind {
		case kindNumber:
			if x == math.Trunc(x) && math.Abs(x) <= exactInteger {
				return int64(x)
			}
		case kindNumeric:
			return c.unnumeric(x)
		}
		return x
	case time.Time:
		if c.Kind == kindInstant {
			return x.UnixMicro()
		}
		return x.UTC().Format(c.layout())
	case duckdb.Decimal:
		return c.undecimal(x)
	}
	return v // int64, string, []byte
}

// decimal makes a decimal of a number's text.
func (c class) decimal(text string) (duckdb.Decimal, bool) {
	whole, fraction, _ := strings.Cut(text, ".")
	if len(fraction) > int(c.Scale) {
		return duckdb.Decimal{}, false
	}
	n, ok := new(big.Int).SetString(whole+fraction+strings.Repeat("0", int(c.Scale)-len(fraction)), 10)
	if !ok || len(strings.TrimLeft(n.String(), "-")) > int(c.Width) {
		return duckdb.Decimal{}, false
	}
	return duckdb.Decimal{Width: c.Width, Scale: c.Scale, Value: n}, true
}

// undecimal is the engine's value of a decimal: its text with all places, or,
// without places, an integer if it fits.
func (c class) undecimal(d duckdb.Decimal) dbms.Value {
	if c.Scale == 0 {
		if d.Value.IsInt64() {
			return d.Value.Int64()
		}
		return d.Value.String()
	}
	digits := new(big.Int).Abs(d.Value).String()
	if missing := int(c.Scale) + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - int(c.Scale)
	sign := ""
	if d.Value.Sign() < 0 {
		sign = "-"
	}
	return sign + digits[:point] + "." + digits[point:]
}

// unnumeric is the engine's value of a number that a float64 holds.
func (c class) unnumeric(f float64) dbms.Value {
	if f == math.Trunc(f) && math.Abs(f) <= exactInteger {
		return int64(f)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}
