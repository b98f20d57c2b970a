package transfer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dbos-go/dbos/dbms"
)

// A class is what a column holds, across engines.
type class string

const (
	integer   class = "integer"
	boolean   class = "boolean" // 0 or 1
	real      class = "real"
	decimal   class = "decimal"
	textual   class = "text"
	document  class = "JSON"
	blob      class = "bytes"
	moment    class = "time" // microseconds
	unsettled class = ""     // decided by the values
)

// convert returns a source's value as it is written to a column of the target,
// or what is wrong with it.
func convert(v dbms.Value, from, to *column) (dbms.Value, error) {
	if v == nil {
		if to.notNull {
			return nil, fmt.Errorf("NULL, where the column is NOT NULL")
		}
		return nil, nil
	}
	switch to.class {
	case integer, moment, boolean:
		return convertInteger(v, to)
	case real:
		return convertReal(v)
	case decimal:
		return convertDecimal(v)
	case textual, document:
		return convertText(v, from, to)
	case blob:
		if b, ok := v.([]byte); ok {
			return b, nil
		}
		return nil, mismatch(v, to)
	}
	return v, nil
}

func convertInteger(v dbms.Value, to *column) (dbms.Value, error) {
	n, ok := v.(int64)
	switch {
	case !ok && to.class == moment:
		if s, isText := v.(string); isText {
			return s, nil // the engine reads it, or refuses it
		}
		return nil, mismatch(v, to)
	case !ok:
		return nil, mismatch(v, to)
	case to.class == boolean && n != 0 && n != 1:
		return nil, fmt.Errorf("%d is neither 0 nor 1", n)
	case to.class == integer && to.bits > 0 && to.bits < 64 && (n < -1<<(to.bits-1) || n >= 1<<(to.bits-1)):
		return nil, fmt.Errorf("%d does not fit into %s", n, to.declared)
	}
	return n, nil
}

func convertReal(v dbms.Value) (dbms.Value, error) {
	switch x := v.(type) {
	case float64:
		return x, nil
	case int64:
		if f := float64(x); int64(f) == x {
			return f, nil
		}
		return nil, fmt.Errorf("%d has more digits than a real number holds", x)
	}
	return nil, mismatch(v, &column{class: real, declared: "a number"})
}

func convertDecimal(v dbms.Value) (dbms.Value, error) {
	switch x := v.(type) {
	case int64:
		return strconv.FormatInt(x, 10), nil
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64), nil
	case string:
		if _, ok := new(big.Rat).SetString(x); ok || x == "NaN" {
			return x, nil
		}
	}
	return nil, mismatch(v, &column{class: decimal, declared: "a number"})
}

func convertText(v dbms.Value, from, to *column) (dbms.Value, error) {
	s, ok := v.(string)
	if n, isNumber := v.(int64); isNumber && from.class == decimal {
		s, ok = strconv.FormatInt(n, 10), true
	}
	switch {
	case !ok:
		return nil, mismatch(v, to)
	case !utf8.ValidString(s):
		return nil, fmt.Errorf("%s is not valid UTF-8", shown(v))
	case strings.ContainsRune(s, 0):
		return nil, fmt.Errorf("%s contains a zero byte, which PostgreSQL does not store in text", shown(v))
	case to.class == document && !json.Valid([]byte(s)):
		return nil, fmt.Errorf("%s is not JSON", shown(v))
	}
	return s, nil
}

func mismatch(v dbms.Value, to *column) error {
	return fmt.Errorf("%s is no %s (%s)", shown(v), to.class, to.declared)
}

// shown renders a value for people, shortened.
func shown(v dbms.Value) string {
	var s string
	switch x := v.(type) {
	case nil:
		return "NULL"
	case []byte:
		s = fmt.Sprintf("x'%x'", x[:min(len(x), 16)])
		if len(x) > 16 {
			s += "…"
		}
		return s
	case string:
		s = strconv.Quote(x)
	default:
		s = fmt.Sprint(x)
	}
	if runes := []rune(s); len(runes) > 40 {
		return string(runes[:40]) + "…"
	}
	return s
}

// settle returns the class of a column whose declaration does not say it, from
// the types of its values.
func settle(types []string) class {
	found := map[string]bool{}
	for _, t := range types {
		found[t] = true
	}
	delete(found, "null")
	switch {
	case len(found) == 0:
		return textual
	case len(found) == 1 && found["integer"]:
		return integer
	case found["real"] && (len(found) == 1 || len(found) == 2 && found["integer"]):
		return real
	case len(found) == 1 && found["blob"]:
		return blob
	}
	return textual // other values are then found not to match
}

// canonical returns a value in the one form that it has on every engine, for
// the checksum.
func canonical(v dbms.Value, to *column) string {
	switch x := v.(type) {
	case nil:
		return "n"
	case []byte:
		return "b" + string(x)
	}
	switch to.class {
	case real:
		if n, ok := v.(int64); ok {
			v = float64(n)
		}
	case decimal:
		if r, ok := new(big.Rat).SetString(fmt.Sprint(v)); ok {
			return "d" + r.RatString()
		}
	case document:
		if s, ok := v.(string); ok {
			return "j" + canonicalJSON(s)
		}
	}
	switch x := v.(type) {
	case float64:
		return "f" + strconv.FormatUint(math.Float64bits(x), 16)
	case int64:
		return "i" + strconv.FormatInt(x, 10)
	}
	return "t" + fmt.Sprint(v)
}

// canonicalJSON returns a document with sorted keys and no blanks.
func canonicalJSON(s string) string {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return s
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return s
	}
	return b.String()
}
