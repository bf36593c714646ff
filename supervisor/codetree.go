package supervisor

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/config"
)

// maxCodeFiles bounds the walk of a tree that is not only code.
const maxCodeFiles = 50_000

// codeTree is the files that a site's code is read from, with what tells whether
// one has changed: source, templates, translations and settings below its
// directories, and the packages that its interpreter has installed. Where it stays
// equal, a reload need not touch the site. Sites share the parts that they have in
// common.
type codeTree []*codePart

func (t codeTree) equal(o codeTree) bool { return slices.EqualFunc(t, o, (*codePart).equal) }

// place is where a part of a site's code lies.
type place struct {
	kind placeKind
	path string
}

type placeKind int

const (
	aFile         placeKind = iota
	anInterpreter           // and the packages that are installed for it
	aDirectory              // and all below it
)

// placesOf returns where a site has its code.
func placesOf(c *config.Site) []place {
	var places []place
	for _, path := range []string{c.WSGI, c.App, c.Settings} {
		if filepath.IsAbs(path) {
			places = append(places, place{aFile, path})
		}
	}
	if c.Kind != config.WSGI {
		return places
	}
	places = append(places, place{anInterpreter, c.Python})
	for _, dir := range c.PythonPath {
		places = append(places, place{aDirectory, dir})
	}
	if c.Home != "" {
		places = append(places, place{aDirectory, c.Home})
	}
	return places
}

// codePart is what was found at one place at one moment. It does not change.
type codePart struct {
	place
	files marks    // nil: only sum is known
	dirs  []string // in which they lie, sorted

	summing sync.Once
	summed  string // see sum
}

// marks are files with what tells whether they have changed.
type marks map[string]fileMark

// fileMark: a build may give each file the same time (tar --mtime, nix), and the new
// text may have the old length. When its inode was changed nobody can set. A chmod or a
// new hard link counts for that: new workers for nothing rather than old ones for new.
type fileMark struct {
	modified, changed int64 // nanoseconds since 1970
	size              int64
	inode             uint64
}

func (p *codePart) equal(o *codePart) bool {
	switch {
	case p == o:
		return true
	case p.place != o.place:
		return false
	case p.files == nil || o.files == nil: // the supervisor before an upgrade has seen them
		return p.sum() == o.sum()
	}
	return maps.Equal(p.files, o.files)
}

// read looks at the files of a place. A current -> releases/7 link counts by where
// it leads.
func (at place) read() *codePart {
	p := &codePart{place: at, files: marks{}}
	switch at.kind {
	case aFile:
		p.files.add(at.path)
	case anInterpreter:
		p.files.add(at.path)
		pattern := filepath.Join(filepath.Dir(filepath.Dir(at.path)), "lib", "python*", "site-packages")
		p.dirs, _ = filepath.Glob(pattern) // the pattern is valid
		for _, dir := range p.dirs {
			p.files.addEntries(dir)
		}
	case aDirectory:
		p.walk()
	}
	slices.Sort(p.dirs)
	return p
}

// matters tells whether a path in one of the directories would be among the files.
func (p *codePart) matters(path string) bool {
	if _, in := slices.BinarySearch(p.dirs, filepath.Dir(path)); !in {
		return false
	}
	if p.kind == anInterpreter {
		return filepath.Base(path) != "__pycache__"
	}
	return isCode(path)
}

// add notes a file; what can not be read is not noted, and its appearance is a change.
func (m marks) add(path string) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err == nil {
		m[path] = fileMark{st.Mtim.Nano(), st.Ctim.Nano(), st.Size, st.Ino}
	}
}

// addEntries notes what is installed in a directory, not the files of each package.
func (m marks) addEntries(dir string) {
	entries, _ := os.ReadDir(dir) // an unreadable directory has no entries
	for _, e := range entries {
		if e.Name() != "__pycache__" {
			m.add(filepath.Join(dir, e.Name()))
		}
	}
}

// walk notes the code in a directory and what is below it, but no other
// environment. What can not be read is skipped.
func (p *codePart) walk() {
	root := p.path
	if real, err := filepath.EvalSymlinks(root); err == nil {
		p.files[root+" -> "+real] = fileMark{} // both releases may lie below another directory of the site
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
		if len(p.files) >= maxCodeFiles || len(p.dirs) >= maxCodeFiles {
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

// isCode tells source, templates and settings from data, which changes all the time.
func isCode(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".py", ".pyi", ".so", ".wsgi", ".html", ".htm", ".jinja", ".j2", ".txt", ".xml", ".mo", ".ini", ".cfg", ".yaml", ".yml", ".json", ".env", ".pth":
		return true
	}
	return false
}
