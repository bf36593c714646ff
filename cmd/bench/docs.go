package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// shortTitle is the title of the table of README.md.
const shortTitle = "In short"

// writeDocs puts the tables where README.md and docs/performance.md have marks for them.
func (r *report) writeDocs(module string) error {
	var short, long strings.Builder
	fmt.Fprintf(&long, "Measured on %s:\n\n", r.Time.Format("2 January 2006"))
	for _, line := range append(r.Machine, r.Notes...) {
		fmt.Fprintf(&long, "- %s\n", line)
	}
	for _, t := range r.Tables {
		switch t.Title {
		case shortTitle:
			t.write(&short)
		case profileTitle: // for those who look for reasons
		default:
			fmt.Fprintf(&long, "\n### %s\n\n", t.Title)
			t.write(&long)
		}
	}
	return errors.Join(
		replaceInFile(filepath.Join(module, "README.md"), short.String()),
		replaceInFile(filepath.Join(module, "docs", "performance.md"), long.String()))
}

// The marks around what writeDocs replaces.
const (
	docsBegin = "<!-- written by: make bench BENCH=\"throughput --docs\" -->\n"
	docsEnd   = "<!-- end of what is written -->\n"
)

func replaceInFile(file, text string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	replaced, ok := replaceBetween(string(b), text)
	if !ok {
		return fmt.Errorf("%s has no marks %q and %q", file, docsBegin, docsEnd)
	}
	return os.WriteFile(file, []byte(replaced), 0o644)
}

// replaceBetween replaces what stands between the marks.
func replaceBetween(page, text string) (string, bool) {
	before, rest, begun := strings.Cut(page, docsBegin)
	_, after, ended := strings.Cut(rest, docsEnd)
	return before + docsBegin + text + docsEnd + after, begun && ended
}
