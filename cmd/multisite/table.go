package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/multisite/multisite/supervisor/status"
)

const (
	tableWidth = 100
	nameWidth  = 20
)

// table holds rows of cells; the first row is the head. The last column gets the rest
// of the line.
type table [][]string

// row adds a row that begins with a name and three sizes.
func (t *table) row(name string, m status.Memory, rest ...string) {
	*t = append(*t, append([]string{cut(name, nameWidth), mb(m.PSS), mb(m.USS), mb(m.RSS)}, rest...))
}

// write prints the table with aligned columns, in lines of at most tableWidth columns.
func (t table) write(w io.Writer) error {
	last := len(t[0]) - 1
	widths := make([]int, last)
	left := tableWidth
	for i := range widths {
		for _, row := range t {
			if i < len(row) {
				widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
			}
		}
		left -= widths[i] + 2
	}
	for _, row := range t {
		var line strings.Builder
		for i, cell := range row {
			if i == last {
				line.WriteString(cutLeft(cell, max(left, 10)))
				break
			}
			fmt.Fprintf(&line, "%-*s  ", widths[i], cell)
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// mb formats a size in megabytes of 2^20 bytes, or in gigabytes.
func mb(n int64) string {
	if n >= 1000<<20 {
		return fmt.Sprintf("%.2f GB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
}

// cut shortens s to n characters.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// cutLeft shortens s to its last n characters, which say more of a path or a dotted
// name than the first.
func cutLeft(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return "…" + string(r[len(r)-n+1:])
	}
	return s
}
