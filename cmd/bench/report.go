package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// report is the result of one run.
type report struct {
	Title   string    `json:"title"`
	Time    time.Time `json:"time"`
	Machine []string  `json:"machine"`
	Notes   []string  `json:"notes"`
	Tables  []*table  `json:"tables"`
	Rows    []*result `json:"rows,omitempty"`
}

// table holds strings, numbers and figures.
type table struct {
	Title   string   `json:"title"`
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
}

func newReport(title string) *report {
	return &report{Title: title, Time: time.Now().UTC().Truncate(time.Second), Machine: describeMachine()}
}

// note adds a sentence, unless it is there already.
func (r *report) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for _, n := range r.Notes {
		if n == text {
			return
		}
	}
	r.Notes = append(r.Notes, text)
}

func (r *report) table(title string, columns ...string) *table {
	t := &table{Title: title, Columns: columns}
	r.Tables = append(r.Tables, t)
	return t
}

func (t *table) row(cells ...any) { t.Rows = append(t.Rows, cells) }

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## bench %s, %s\n\n", r.Title, r.Time.Format("2006-01-02 15:04 MST"))
	for _, line := range r.Machine {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	for _, line := range r.Notes {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "\n### %s\n\n", t.Title)
		t.write(&b)
	}
	return b.String()
}

func (t *table) write(b *strings.Builder) {
	writeRow(b, t.Columns)
	writeRow(b, t.rule())
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = fmt.Sprint(cell)
		}
		writeRow(b, cells)
	}
}

func writeRow(b *strings.Builder, cells []string) {
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// rule aligns names to the left and figures to the right.
func (t *table) rule() []string {
	rule := make([]string, len(t.Columns))
	for i := range rule {
		rule[i] = "---:"
		if i == 0 {
			rule[i] = "---"
		}
	}
	return rule
}

func (r *report) writeJSON(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
