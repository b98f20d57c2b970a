package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// layoutRows is how many rows decide about the widths of the columns. A longer
// result is printed in pieces of so many.
const layoutRows = 1000

// printRows prints a result: a table for people, a line of JSON a row for
// programs.
func (c *cli) printRows(rows rowSource) error {
	if c.json {
		return c.printRowsJSON(rows)
	}
	columns := make([]column, len(rows.Columns()))
	for i, name := range rows.Columns() {
		columns[i] = column{title: printable(named(name, i)), least: 8}
	}
	n := 0
	t := &table{columns: columns}
	types := columnTypes(rows)
	for rows.Next() {
		n++
		var cells []cell
		for i, v := range rows.Values() {
			cells = append(cells, valueCell(v, types[i]))
			columns[i].right = number(v, types[i]) && (n == 1 || columns[i].right)
		}
		t.add(cells...)
		if len(t.rows) == layoutRows {
			if err := t.print(c.out, c.screen); err != nil {
				return err
			}
			t.rows = nil
		}
	}
	if rows.Err() != nil {
		return rows.Err()
	}
	if len(t.rows) > 0 || n == 0 {
		if err := t.print(c.out, c.screen); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(c.out, c.screen.paint("("+count(n, "row")+")", dim))
	return err
}

// columnTypes returns a type for each column, "" where there is none.
func columnTypes(rows rowSource) []string {
	if types := rows.Types(); types != nil {
		return types
	}
	return make([]string, len(rows.Columns()))
}

// number reports whether a value of a column is aligned as numbers are.
func number(v any, columnType string) bool {
	switch v.(type) {
	case int64, float64, *big.Int, nil:
		return true
	case string:
		return decimal(columnType)
	}
	return false
}

// decimal reports whether the values of a type are numbers, written as text
// because no number of Go's holds them.
func decimal(columnType string) bool { return strings.HasPrefix(columnType, "DECIMAL") }

// valueCell renders a value for people.
func valueCell(v any, columnType string) cell {
	switch v := v.(type) {
	case nil:
		return cell{"NULL", dim}
	case []byte:
		return cell{"x'" + hex.EncodeToString(v) + "'", plain}
	case float64:
		return cell{realText(v), plain}
	case time.Time:
		return cell{timeText(v, columnType), plain}
	}
	return cell{fmt.Sprint(v), plain}
}

// timeText renders a time as its column's type has it. Only a type with a zone
// is an instant, and shown in the local zone; the others are what they are.
func timeText(t time.Time, columnType string) string {
	switch {
	case columnType == "DATE":
		return t.Format(time.DateOnly)
	case columnType == "TIME":
		return t.Format("15:04:05.999999")
	case strings.HasSuffix(columnType, "WITH TIME ZONE"):
		return t.Local().Format("2006-01-02 15:04:05.999999 -07:00")
	}
	return t.Format("2006-01-02 15:04:05.999999999")
}

// realText renders a number so that it reads as one that is not an integer.
func realText(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "9e999" // as SQLite writes it
	case math.IsInf(f, -1):
		return "-9e999"
	}
	text := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(text, ".eN") {
		text += ".0"
	}
	return text
}

func (c *cli) printRowsJSON(rows rowSource) error {
	w := bufio.NewWriter(c.out)
	names, types := distinct(rows.Columns()), columnTypes(rows)
	for rows.Next() {
		line, err := rowJSON(names, types, rows.Values())
		if err != nil {
			return err
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return rows.Err()
}

// named returns a column's name, or its number if the engine tells none.
func named(name string, i int) string {
	if name == "" {
		return "column_" + strconv.Itoa(i+1)
	}
	return name
}

// distinct returns column names without repetitions, as the keys of an object:
// the second "id" is "id_2".
func distinct(columns []string) []string {
	seen := map[string]bool{}
	names := make([]string, len(columns))
	for i, column := range columns {
		column = named(column, i)
		name := column
		for n := 2; seen[name]; n++ {
			name = column + "_" + strconv.Itoa(n)
		}
		seen[name], names[i] = true, name
	}
	return names
}

// rowJSON returns a row as an object in the order of its columns, and a line
// end. Numbers are numbers, of as many digits as they have; bytes are an object
// with their base64 form.
func rowJSON(names, types []string, values []any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		for _, part := range []any{names[i], jsonValue(v, types[i])} {
			if err := e.Encode(part); err != nil {
				return nil, err
			}
			b.Truncate(b.Len() - 1) // the encoder's line end
			b.WriteByte(':')
		}
		b.Truncate(b.Len() - 1)
	}
	b.WriteString("}\n")
	return b.Bytes(), nil
}

func jsonValue(v any, columnType string) any {
	switch v := v.(type) {
	case []byte:
		return map[string]string{"base64": base64.StdEncoding.EncodeToString(v)}
	case float64:
		if math.IsNaN(v) {
			return "NaN" // JSON has no such number
		}
		return json.RawMessage(realText(v))
	case *big.Int:
		return json.RawMessage(v.String())
	case string:
		if decimal(columnType) && json.Valid([]byte(v)) {
			return json.RawMessage(v)
		}
	case time.Time:
		if strings.HasSuffix(columnType, "WITH TIME ZONE") {
			return v // RFC 3339
		}
		return timeText(v, columnType)
	}
	return v
}
