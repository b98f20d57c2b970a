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
	// optional columns are left out if all their cells are empty, or if the
	// screen has no room for them.
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
	widths := t.layout(s.width)
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

// layout decides which columns are printed, and how wide. A total of 0 is no
// limit.
func (t *table) layout(total int) []int {
	for i := len(t.columns) - 1; i >= 0; i-- {
		used := slices.ContainsFunc(t.rows, func(row []cell) bool { return row[i].text != "" })
		if t.columns[i].optional && !used {
			t.drop(i)
		}
	}
	widths := t.widths()
	if total == 0 {
		return widths
	}
	for {
		room := total - len(gap)*(len(widths)-1)
		if shrink(widths, t.columns, room, false) {
			return widths
		}
		i := slices.IndexFunc(t.columns, func(c column) bool { return c.optional })
		if i < 0 {
			shrink(widths, t.columns, room, true)
			return widths
		}
		t.drop(i)
		widths = t.widths()
	}
}

// drop removes a column.
func (t *table) drop(i int) {
	t.columns = slices.Delete(slices.Clone(t.columns), i, i+1)
	for r := range t.rows {
		t.rows[r] = slices.Delete(slices.Clone(t.rows[r]), i, i+1)
	}
}

// widths makes the texts printable and returns the columns' natural widths.
func (t *table) widths() []int {
	widths := make([]int, len(t.columns))
	for i := range t.columns {
		t.columns[i].title = printable(t.columns[i].title)
		widths[i] = uniseg.StringWidth(t.columns[i].title)
	}
	for _, row := range t.rows {
		for i := range row {
			row[i].text = printable(row[i].text)
			widths[i] = max(widths[i], uniseg.StringWidth(row[i].text))
		}
	}
	return widths
}

// shrink takes from the widest columns until the sum is at most total, and
// reports whether it is: from those that may shrink, down to their least
// width, or from all, down to one.
func shrink(widths []int, columns []column, total int, all bool) bool {
	least := func(i int) int {
		switch {
		case all:
			return 1
		case columns[i].least == 0:
			return widths[i]
		}
		return columns[i].least
	}
	for sum(widths) > total {
		widest := -1
		for i, w := range widths {
			if w > least(i) && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return false
		}
		// Down to the next one at once: a cell may be a megabyte wide.
		next := least(widest)
		for i, w := range widths {
			if w < widths[widest] && w > least(i) {
				next = max(next, w)
			}
		}
		widths[widest] -= max(1, min(widths[widest]-next, sum(widths)-total))
	}
	return true
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
