//go:build cgo

package warehouse

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// An exact value is written as a JSON object of one member, whose name says what it is:
//
//	{"integer":5} {"real":"0.1"} {"text":"abc"} {"text_hex":"ff"} {"bytes":"00ff"}
//
// Text that is not UTF-8, and bytes, are in hexadecimal. A cell that does not fit
// its column is kept in its row's dbos_odd, as {"column":{…},…}.

// appendExact appends the JSON of a value other than NULL.
func appendExact(b []byte, v dbms.Value) []byte {
	switch x := v.(type) {
	case int64:
		b = append(b, `{"integer":`...)
		b = strconv.AppendInt(b, x, 10)
	case float64:
		b = append(b, `{"real":"`...)
		b = append(strconv.AppendFloat(b, x, 'g', -1, 64), '"')
	case string:
		if !utf8.ValidString(x) {
			b = append(b, `{"text_hex":"`...)
			b = append(hex.AppendEncode(b, []byte(x)), '"')
			break
		}
		quoted, _ := json.Marshal(x) // valid UTF-8 always has a form
		b = append(append(b, `{"text":`...), quoted...)
	case []byte:
		b = append(b, `{"bytes":"`...)
		b = append(hex.AppendEncode(b, x), '"')
	default:
		b = append(b, `{"null":true`...)
	}
	return append(b, '}')
}

// exactOf returns the value of such an object.
func exactOf(member map[string]json.RawMessage) (dbms.Value, error) {
	for name, raw := range member {
		if name == "integer" {
			return strconv.ParseInt(string(raw), 10, 64)
		}
		if name == "null" {
			return nil, nil
		}
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, err
		}
		switch name {
		case "real":
			return strconv.ParseFloat(text, 64)
		case "text":
			return text, nil
		case "text_hex":
			b, err := hex.DecodeString(text)
			return string(b), err
		case "bytes":
			return hex.DecodeString(text)
		}
	}
	return nil, abi.Errorf("warehouse.read", abi.Corrupt, "exact value", "%v is none", member)
}

// An oddRow collects the cells of a row that do not fit.
type oddRow struct {
	cells []byte // of all columns
	key   []byte // of the key's columns
}

func (o *oddRow) reset() { o.cells, o.key = o.cells[:0], o.key[:0] }

func (o *oddRow) add(column int, v dbms.Value) { o.cells = appendCell(o.cells, column, v) }

func (o *oddRow) addKey(column int, v dbms.Value) { o.key = appendCell(o.key, column, v) }

func appendCell(b []byte, column int, v dbms.Value) []byte {
	if len(b) == 0 {
		b = append(b, '{')
	} else {
		b = append(b, ',')
	}
	b = append(append(b, `"`...), physicalName(column)...)
	b = append(b, `":`...)
	return appendExact(b, v)
}

// text returns the JSON of collected cells, nil if there are none.
func oddText(cells []byte) any {
	if len(cells) == 0 {
		return nil
	}
	return string(cells) + "}"
}

// oddCells returns the exact values by column.
func oddCells(text string) (map[int]dbms.Value, error) {
	var cells map[string]map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &cells); err != nil {
		return nil, abi.Errorf("warehouse.read", abi.Corrupt, "exact values", "%w", err)
	}
	values := make(map[int]dbms.Value, len(cells))
	for name, member := range cells {
		column, err := strconv.Atoi(strings.TrimPrefix(name, "c"))
		if err != nil {
			return nil, abi.Errorf("warehouse.read", abi.Corrupt, "exact values", "no column is called %q", name)
		}
		if values[column], err = exactOf(member); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// physicalName is the name of a column in the column store: never the
// application's, which may be anything.
func physicalName(column int) string { return "c" + strconv.Itoa(column) }
