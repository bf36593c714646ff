package code

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// maxFiles limits how many files and directories are read below one directory, which
// may hold more than code.
const maxFiles = 50_000

// Part is what was found at one place at one moment.
type Part struct {
	Place
	files Marks    // nil: only the sum is known
	dirs  []string // the directories of the files, sorted

	summing sync.Once
	summed  string // set by sum, or by FromSums if files is nil
}

// Marks are files by their path.
type Marks map[string]mark

// mark shows whether a file has changed. Time and size would not suffice: a build may give
// each file the same time (tar --mtime, nix), and the new text may have the old length.
// The time of the inode's last change cannot be set by a program. It also changes with
// chmod or a new hard link; new workers for nothing are better than old code.
type mark struct {
	modified, changed int64 // nanoseconds since 1970
	size              int64
	inode             uint64
}

// TouchedSince reports whether a file is new or has changed. One that is gone does not
// count.
func (m Marks) TouchedSince(before Marks) bool {
	for path, now := range m {
		if before[path] != now {
			return true
		}
	}
	return false
}

func (p *Part) equal(o *Part) bool {
	switch {
	case p == o:
		return true
	case p.Place != o.Place:
		return false
	case p.files == nil || o.files == nil: // the supervisor before an upgrade has seen them
		return p.sum() == o.sum()
	}
	return maps.Equal(p.files, o.files)
}

// sum returns a short string that differs when any of the files differs.
func (p *Part) sum() string {
	p.summing.Do(func() {
		if p.summed != "" {
			return
		}
		h := sha256.New()
		for _, path := range slices.Sorted(maps.Keys(p.files)) {
			m := p.files[path]
			_, _ = io.WriteString(h, fmt.Sprintf("%q %d %d %d %d\n", path, m.modified, m.changed, m.size, m.inode)) // it never fails
		}
		p.summed = hex.EncodeToString(h.Sum(nil)[:16])
	})
	return p.summed
}

// read looks at the files of a place.
func (at Place) read() *Part {
	p := &Part{Place: at, files: Marks{}}
	switch at.Kind {
	case File:
		p.files.add(at.Path)
	case Interpreter:
		p.files.add(at.Path)
		pattern := filepath.Join(filepath.Dir(filepath.Dir(at.Path)), "lib", "python*", "site-packages")
		p.dirs, _ = filepath.Glob(pattern) // the pattern is valid
		for _, dir := range p.dirs {
			p.files.addEntries(dir)
		}
	case Directory:
		p.walk()
	}
	slices.Sort(p.dirs)
	return p
}

// matters reports whether a file at path, which is in one of the directories of the
// part, would belong to it.
func (p *Part) matters(path string) bool {
	if _, in := slices.BinarySearch(p.dirs, filepath.Dir(path)); !in {
		return false
	}
	if p.Kind == Interpreter {
		return filepath.Base(path) != "__pycache__"
	}
	return isCode(path)
}

// add adds a file. One that cannot be read is left out, so that its appearance is a
// change.
func (m Marks) add(path string) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err == nil {
		m[path] = mark{st.Mtim.Nano(), st.Ctim.Nano(), st.Size, st.Ino}
	}
}

// addEntries adds the entries of a directory of packages, but not the files of each
// package: an installer changes the entry.
func (m Marks) addEntries(dir string) {
	entries, _ := os.ReadDir(dir) // an unreadable directory has no entries
	for _, e := range entries {
		if e.Name() != "__pycache__" {
			m.add(filepath.Join(dir, e.Name()))
		}
	}
}

// walk adds the code in a directory and below it, but not that of a virtual
// environment. Directories that cannot be read are skipped.
func (p *Part) walk() {
	root := p.Path
	if real, err := filepath.EvalSymlinks(root); err == nil {
		// A link like current -> releases/7 counts by its target, too: both releases may
		// lie below another directory of the site, and hold the same files.
		p.files[root+" -> "+real] = mark{}
		root = real
	}
	_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error { // it returns no other error
		switch {
		case err != nil:
			return nil
		case e.IsDir() && path != root && skipDir(path, e.Name()):
			return filepath.SkipDir
		case e.IsDir():
			p.dirs = append(p.dirs, path)
		case isCode(path):
			p.files.add(path)
		}
		if len(p.files) >= maxFiles || len(p.dirs) >= maxFiles {
			return filepath.SkipAll
		}
		return nil
	})
}

func skipDir(path, name string) bool {
	if strings.HasPrefix(name, ".") || name == "__pycache__" || name == "node_modules" {
		return true
	}
	_, err := os.Stat(filepath.Join(path, "pyvenv.cfg"))
	return err == nil
}

// isCode reports whether a file is source, a template or settings by its name. Other
// files are data, which changes all the time.
func isCode(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".py", ".pyi", ".so", ".wsgi", ".html", ".htm", ".jinja", ".j2", ".txt", ".xml", ".mo", ".ini", ".cfg", ".yaml", ".yml", ".json", ".env", ".pth":
		return true
	}
	return false
}
