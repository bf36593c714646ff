package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the repository, as seen from this package's tests.
const root = "../.."

// A block is one fenced code block of a document. CONTRIBUTING.md describes what
// the words after the opening fence mean.
type block struct {
	file string   // of the document, relative to root
	line int      // of the opening fence
	info []string // the words after it: the language, then the options
	text string
}

// is reports whether the block has this language and this option.
func (b block) is(language, option string) bool {
	return len(b.info) > 1 && b.info[0] == language && b.info[1] == option
}

// commands splits a console block at its lines that begin with "$ ". Each command
// comes with the lines of output that follow it.
func (b block) commands() []typed {
	var all []typed
	for i, line := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
		if text, ok := strings.CutPrefix(line, "$ "); ok {
			all = append(all, typed{line: b.line + i + 1, text: text})
			continue
		}
		if n := len(all) - 1; n >= 0 {
			all[n].want = append(all[n].want, line)
		}
	}
	return all
}

// typed is what a reader types, and what the document shows below it.
type typed struct {
	line int
	text string
	want []string
}

// documents returns the Markdown files that a reader may find, relative to root.
func documents(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*.md", "examples/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			all = append(all, strings.TrimPrefix(filepath.ToSlash(file), root+"/"))
		}
	}
	if !slices.Contains(all, "README.md") {
		t.Fatalf("no README.md among %q", all)
	}
	return all
}

// blocks returns the fenced blocks of a document.
func blocks(t testing.TB, file string) []block {
	t.Helper()
	var all []block
	open := false
	for i, line := range strings.Split(readFile(t, filepath.Join(root, file)), "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && !open:
			all = append(all, block{file: file, line: i + 1, info: strings.Fields(info)})
			open = true
		case fence:
			open = false
		case open:
			all[len(all)-1].text += line + "\n"
		}
	}
	if open {
		t.Errorf("%s: the last block has no end", file)
	}
	return all
}

// prose returns the lines of a document that are in no fenced block; the others
// are empty, so that line numbers stay right.
func prose(t testing.TB, file string) []string {
	t.Helper()
	lines := strings.Split(readFile(t, filepath.Join(root, file)), "\n")
	open := false
	for i, line := range lines {
		fence := strings.HasPrefix(line, "```")
		if fence {
			open = !open
		}
		if fence || open {
			lines[i] = ""
		}
	}
	return lines
}

// notCopied are files and directories that a fresh clone does not have.
var notCopied = []string{".git", ".venv", ".multisite", "__pycache__", "static_root", "multisite.test"}

// copyRepository makes a copy of the repository in dir, as a clone of it would be.
// Times are kept, since make compares them.
func copyRepository(t testing.TB, dir string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if slices.Contains(notCopied, d.Name()) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		if !d.Type().IsRegular() || strings.Contains(d.Name(), "db.sqlite3") || rel == "multisite" {
			return nil
		}
		return copyFile(path, to)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// copyFile copies a file with its mode and its time.
func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, b, info.Mode()); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}
