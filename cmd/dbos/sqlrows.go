package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
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
	for rows.Next() {
		n++
		var cells []cell
		for i, v := range rows.Values() {
			cells = append(cells, valueCell(v))
			columns[i].right = number(v) && (n == 1 || columns[i].right)
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

func number(v any) bool {
	switch v.(type) {
	case int64, float64, nil:
		return true
	}
	return false
}

// valueCell renders a value for people.
func valueCell(v any) cell {
	switch v := v.(type) {
	case nil:
		return cell{"NULL", dim}
	case []byte:
		return cell{"x'" + hex.EncodeToString(v) + "'", plain}
	case float64:
		return cell{realText(v), plain}
	}
	return cell{fmt.Sprint(v), plain}
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
	names := distinct(rows.Columns())
	for rows.Next() {
		line, err := rowJSON(names, rows.Values())
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
// end. Integers and reals are numbers, of 64 bits; bytes are an object with
// their base64 form.
func rowJSON(names []string, values []any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		for _, part := range []any{names[i], jsonValue(v)} {
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

func jsonValue(v any) any {
	switch v := v.(type) {
	case []byte:
		return map[string]string{"base64": base64.StdEncoding.EncodeToString(v)}
	case float64:
		return json.RawMessage(realText(v))
	}
	return v
}
