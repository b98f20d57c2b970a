package main

import (
	"io"
	"slices"
	"strings"

	"github.com/rivo/uniseg"
)

// A table is printed in aligned columns that fit the screen.
type table struct {
	columns []column
	rows    [][]cell
}

// A column describes how a table's column may be laid out.
type column struct {
	title string
	right bool // aligned to the right
	// least is the width down to which the column shrinks when the table is
	// too wide for the screen; 0 means that it shrinks only if nothing else
	// can.
	least int
	// optional columns are left out if all their cells are empty.
	optional bool
}

// A cell is the text of one column in one row.
type cell struct {
	text  string
	style style
}

const gap = "  "

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// print lays the table out and writes it, with its titles.
func (t *table) print(w io.Writer, s screen) error {
	t.dropEmpty()
	widths := t.widths()
	if s.width > 0 {
		shrink(widths, t.columns, s.width-len(gap)*(len(widths)-1))
	}
	var b strings.Builder
	titles := make([]cell, len(t.columns))
	for i, c := range t.columns {
		titles[i] = cell{c.title, dim}
	}
	writeLine(&b, t.columns, titles, widths, s)
	for _, row := range t.rows {
		writeLine(&b, t.columns, row, widths, s)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// dropEmpty removes the optional columns that hold nothing.
func (t *table) dropEmpty() {
	for i := len(t.columns) - 1; i >= 0; i-- {
		used := slices.ContainsFunc(t.rows, func(row []cell) bool { return row[i].text != "" })
		if used || !t.columns[i].optional {
			continue
		}
		t.columns = slices.Delete(slices.Clone(t.columns), i, i+1)
		for r := range t.rows {
			t.rows[r] = slices.Delete(slices.Clone(t.rows[r]), i, i+1)
		}
	}
}

// widths makes the cells printable and returns the columns' natural widths.
func (t *table) widths() []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		widths[i] = uniseg.StringWidth(c.title)
	}
	for _, row := range t.rows {
		for i := range row {
			row[i].text = printable(row[i].text)
			widths[i] = max(widths[i], uniseg.StringWidth(row[i].text))
		}
	}
	return widths
}

// shrink takes from the widest columns until the sum is at most total: first
// from those that may shrink, down to their least width, then from all, down
// to one.
func shrink(widths []int, columns []column, total int) {
	for _, last := range []bool{false, true} {
		for sum(widths) > total {
			widest := -1
			for i, w := range widths {
				least := columns[i].least
				if last {
					least = 1
				}
				if (last || least > 0) && w > least && (widest < 0 || w > widths[widest]) {
					widest = i
				}
			}
			if widest < 0 {
				break
			}
			// Down to the next one at once: a cell may be a megabyte wide.
			next := columns[widest].least
			if last {
				next = 1
			}
			for i, w := range widths {
				if i != widest && w < widths[widest] && (last || columns[i].least > 0) {
					next = max(next, w)
				}
			}
			take := max(1, min(widths[widest]-next, sum(widths)-total))
			widths[widest] -= take
		}
	}
}

func sum(list []int) int {
	n := 0
	for _, x := range list {
		n += x
	}
	return n
}

// writeLine writes one row without trailing blanks.
func writeLine(b *strings.Builder, columns []column, row []cell, widths []int, s screen) {
	var line strings.Builder
	pad := 0 // blanks that are owed, and written only before more text
	for i, c := range row {
		text := shorten(c.text, widths[i])
		free := widths[i] - uniseg.StringWidth(text)
		if text != "" {
			if columns[i].right {
				pad, free = pad+free, 0
			}
			line.WriteString(strings.Repeat(" ", pad))
			line.WriteString(s.paint(text, c.style))
			pad = 0
		}
		pad += max(free, 0) + len(gap)
	}
	b.WriteString(line.String())
	b.WriteByte('\n')
}

// shorten cuts text to a width, with an ellipsis in place of what is cut.
func shorten(text string, width int) string {
	if len(text) <= width || uniseg.StringWidth(text) <= width {
		return text
	}
	if width < 1 {
		return ""
	}
	var b strings.Builder
	used := 0
	for g := uniseg.NewGraphemes(text); g.Next(); {
		if used += g.Width(); used > width-1 {
			break
		}
		b.WriteString(g.Str())
	}
	return b.String() + "…"
}
