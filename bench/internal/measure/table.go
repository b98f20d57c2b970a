package measure

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// A Table is a table of Markdown. The first column is text, the others are
// figures and stand at the right.
type Table struct {
	Header []string
	rows   [][]string
}

// Add adds a row: as many cells as the header has.
func (t *Table) Add(cells ...string) { t.rows = append(t.rows, cells) }

// Print writes the table, its columns aligned for people who read the source.
func (t *Table) Print(w io.Writer) {
	widths := make([]int, len(t.Header))
	for _, row := range append([][]string{t.Header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	printRow(w, t.Header, widths)
	for i, width := range widths {
		rule := strings.Repeat("-", width)
		if i > 0 {
			rule = rule[1:] + ":"
		}
		fmt.Fprintf(w, "| %s ", rule)
	}
	fmt.Fprintln(w, "|")
	for _, row := range t.rows {
		printRow(w, row, widths)
	}
	fmt.Fprintln(w)
}

func printRow(w io.Writer, cells []string, widths []int) {
	for i, cell := range cells {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i == 0 {
			fmt.Fprintf(w, "| %s%s ", cell, pad)
		} else {
			fmt.Fprintf(w, "| %s%s ", pad, cell)
		}
	}
	fmt.Fprintln(w, "|")
}

// Count writes a number with three digits that count and a space between
// thousands: 152 000.
func Count(v float64) string {
	unit := 1.0
	for v/unit >= 1000 {
		unit *= 10
	}
	rounded := fmt.Sprintf("%.0f", float64(int64(v/unit+0.5))*unit)
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	var parts []string
	for len(rounded) > 3 {
		parts = append([]string{rounded[len(rounded)-3:]}, parts...)
		rounded = rounded[:len(rounded)-3]
	}
	return strings.Join(append([]string{rounded}, parts...), " ")
}

// Ratio writes a / b, such as 0.83; a dash if b is 0.
func Ratio(a, b float64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", a/b)
}

// Bytes writes a size in the unit that fits: 12.3 MB.
func Bytes(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}

// Duration writes a duration with three digits that count.
func Duration(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

// WriteJSON writes v indented, for files that are kept.
func WriteJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
