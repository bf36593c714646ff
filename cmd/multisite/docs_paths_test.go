package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	backtick = regexp.MustCompile("`([^`]+)`")
	heading  = regexp.MustCompile(`^#+ (.*)$`)
	codeFile = regexp.MustCompile(`^[\w./*-]+\.(go|py|md|txtar)$`)
	codeName = regexp.MustCompile(`^(?:[A-Za-z_]\w*\.)*([A-Za-z_]\w{2,})(?:\(\))?$`)
	inFile   = regexp.MustCompile("`([\\w./]+\\.(?:go|py))`\\s\\((`[^)]*`)\\)")
	entry    = regexp.MustCompile(`^- \*\*([^*]+)\*\*`)
)

// TestDocs_Links follows every relative link of the documents, with its anchor.
func TestDocs_Links(t *testing.T) {
	t.Parallel()
	for _, file := range documents(t) {
		for i, line := range prose(t, file) {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				path, anchor, _ := strings.Cut(m[1], "#")
				if strings.Contains(path, "://") {
					continue
				}
				to := filepath.Join(filepath.Dir(file), path)
				if path == "" {
					to = file
				}
				if _, err := os.Stat(filepath.Join(root, to)); err != nil {
					t.Errorf("%s:%d: %v", file, i+1, err)
				} else if anchor != "" && !slices.Contains(anchors(t, to), anchor) {
					t.Errorf("%s:%d: %s has no heading #%s", file, i+1, to, anchor)
				}
			}
		}
	}
}

// anchors returns the headings of a document as links name them.
func anchors(t testing.TB, file string) []string {
	t.Helper()
	var all []string
	for _, line := range prose(t, file) {
		if m := heading.FindStringSubmatch(line); m != nil {
			name := strings.ToLower(strings.ReplaceAll(m[1], " ", "-"))
			all = append(all, regexp.MustCompile(`[^\w-]`).ReplaceAllString(name, ""))
		}
	}
	return all
}

// TestDocs_Paths looks for every path of the repository that a document has in
// backticks, so that no move leaves one behind.
func TestDocs_Paths(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range documents(t) {
		for i, line := range prose(t, file) {
			for _, m := range backtick.FindAllStringSubmatch(line, -1) {
				if !isPath(m[1], entries) {
					continue
				}
				n++
				if !inRepository(t, m[1]) && !inRepository(t, filepath.Join(filepath.Dir(file), m[1])) {
					t.Errorf("%s:%d: there is no %s", file, i+1, m[1])
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("the documents name %d paths: is that all?", n)
	}
}

// inRepository reports whether the repository has a file of this path, or any of a pattern.
func inRepository(t testing.TB, pattern string) bool {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return len(found) > 0
}

// isPath reports whether a word is a path of the repository: it begins with a
// directory of its top, or names a file of code.
func isPath(word string, top []fs.DirEntry) bool {
	first, _, deep := strings.Cut(word, "/")
	if deep && !strings.ContainsAny(word, " =<>(){}") {
		return slices.ContainsFunc(top, func(e fs.DirEntry) bool { return e.IsDir() && e.Name() == first })
	}
	return codeFile.MatchString(word)
}

// TestDocs_Names looks for every name of code that the page on the architecture has in
// backticks, and for every word of its glossary, in the code.
func TestDocs_Names(t *testing.T) {
	t.Parallel()
	const page = "docs/architecture.md"
	code := wholeCode(t)
	lower := strings.ToLower(code)
	n := 0
	for i, line := range prose(t, page) {
		for _, name := range namesIn(line) {
			n++
			if !regexp.MustCompile(`\b` + name + `\b`).MatchString(code) {
				t.Errorf("%s:%d: no code has the name %s", page, i+1, name)
			}
		}
		for _, word := range termsIn(line) {
			n++
			if !strings.Contains(lower, word) && !strings.Contains(lower, strings.ReplaceAll(word, " ", "")) {
				t.Errorf("%s:%d: no code has the word %q", page, i+1, word)
			}
		}
	}
	if n < 20 {
		t.Errorf("%s has %d names: is that all?", page, n)
	}
}

// TestDocs_NamesInFiles looks for names in the file that a document says they are in:
// a path in backticks, then the names in parentheses.
func TestDocs_NamesInFiles(t *testing.T) {
	t.Parallel()
	n := 0
	for _, file := range documents(t) {
		text := strings.Join(prose(t, file), "\n")
		for _, m := range inFile.FindAllStringSubmatch(text, -1) {
			code, err := os.ReadFile(filepath.Join(root, m[1]))
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			for _, name := range backtick.FindAllStringSubmatch(m[2], -1) {
				n++
				if !regexp.MustCompile(`\b` + name[1] + `\b`).Match(code) {
					t.Errorf("%s: %s has no %s", file, m[1], name[1])
				}
			}
		}
	}
	if n < 20 {
		t.Errorf("the documents name %d names with their files: is that all?", n)
	}
}

// TestDocs_Packages looks for every package in the page on the architecture.
func TestDocs_Packages(t *testing.T) {
	t.Parallel()
	page := readFile(t, filepath.Join(root, "docs/architecture.md"))
	n := 0
	for _, pattern := range []string{"supervisor/*.go", "supervisor/*/*.go", "worker/*.go", "worker/*/*.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		dirs := map[string]bool{}
		for _, file := range files {
			dirs[strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), root+"/")] = true
		}
		for dir := range dirs {
			n++
			if !strings.Contains(page, "\n| `"+dir+"` | ") {
				t.Errorf("docs/architecture.md does not say what %s is for", dir)
			}
		}
	}
	if n < 20 {
		t.Errorf("%d packages: is that all?", n)
	}
}

// namesIn returns the names of code that a line has in backticks.
func namesIn(line string) []string {
	var all []string
	for _, m := range backtick.FindAllStringSubmatch(line, -1) {
		if name := codeName.FindStringSubmatch(m[1]); name != nil && !codeFile.MatchString(m[1]) {
			all = append(all, name[1])
		}
	}
	return all
}

// termsIn returns the words that a line of the glossary explains.
func termsIn(line string) []string {
	m := entry.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	return strings.Split(strings.ToLower(m[1]), ", ")
}

// wholeCode returns the text of all code but that of this test.
func wholeCode(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains(notCopied, d.Name()) {
			return filepath.SkipDir
		}
		if ext := filepath.Ext(path); (ext == ".go" || ext == ".py") && filepath.Base(path) != "docs_paths_test.go" {
			b.WriteString(readFile(t, path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
