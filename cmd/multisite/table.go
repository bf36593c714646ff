package main

import (
	"io"
	"strings"
	"unicode/utf8"
)

// column is one column of a table.
type column struct {
	head  string
	right bool // it holds numbers, which are aligned at their ends
	least int  // it may be cut to so many characters where the display is narrow; 0: it may not
	tail  bool // of what is cut, the end is kept
}

// cell is a text in a table.
type cell struct {
	text  string
	style style
}

// table holds rows of cells below the heads of its columns. Columns in which no row has
// anything are left out. A row of one cell that is a line stands across all columns.
type table struct {
	columns []column
	rows    [][]cell
	across  map[int]bool // indexes of rows
}

func newTable(columns ...column) *table { return &table{columns: columns, across: map[int]bool{}} }

// row adds a row without styles.
func (t *table) row(texts ...string) {
	cells := make([]cell, len(texts))
	for i, text := range texts {
		cells[i].text = text
	}
	t.add(cells...)
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// line adds a line across all columns.
func (t *table) line(text string, look style) {
	t.across[len(t.rows)] = true
	t.add(cell{text, look})
}

// write prints the table with aligned columns, in lines that fit the display unless its
// fixed columns alone are wider.
func (t *table) write(s *display) {
	for i, row := range t.rows {
		for j := range row {
			t.rows[i][j].text = oneLine(row[j].text)
		}
	}
	widths, gap := t.layout(s.width)
	heads := make([]cell, len(t.columns))
	for i, c := range t.columns {
		heads[i] = cell{c.head, faint}
	}
	t.print(s, heads, widths, gap)
	for i, row := range t.rows {
		if t.across[i] {
			s.say(row[0].text, row[0].style)
			continue
		}
		t.print(s, row, widths, gap)
	}
}

// layout returns the width of each column, 0 for one that is left out, and of the gaps.
func (t *table) layout(room int) (widths []int, gap int) {
	widths = make([]int, len(t.columns))
	shown := 0
	for i, c := range t.columns {
		for r, row := range t.rows {
			if i < len(row) && !t.across[r] {
				widths[i] = max(widths[i], utf8.RuneCountInString(row[i].text))
			}
		}
		if widths[i] > 0 {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.head))
			shown++
		}
	}
	for _, gap = range []int{2, 1} {
		over := (shown-1)*gap - room
		for _, w := range widths {
			over += w
		}
		for i := len(t.columns) - 1; i >= 0 && over > 0 && gap == 1; i-- {
			if least := t.columns[i].least; least > 0 && widths[i] > least {
				by := min(over, widths[i]-least)
				widths[i] -= by
				over -= by
			}
		}
		if over <= 0 {
			break
		}
	}
	return widths, gap
}

func (t *table) print(s *display, row []cell, widths []int, gap int) {
	var line strings.Builder
	pending := 0 // spaces that are written before the next text
	for i, c := range row {
		if widths[i] == 0 {
			continue
		}
		text := cut(c.text, widths[i])
		if t.columns[i].tail {
			text = cutLeft(c.text, widths[i])
		}
		pad := widths[i] - utf8.RuneCountInString(text)
		if t.columns[i].right {
			pending, pad = pending+pad, 0
		}
		if text != "" {
			line.WriteString(strings.Repeat(" ", pending) + s.paint(text, c.style))
			pending = 0
		}
		pending += pad + gap
	}
	_, _ = io.WriteString(s.w, line.String()+"\n") // nobody may read it any more
}
