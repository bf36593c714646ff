package supervisor

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/config"
)

// maxCodeFiles bounds the walk of a tree that is not only code.
const maxCodeFiles = 50_000

// codeTree is the files that a site's code is read from, with what tells whether
// one has changed. Where it stays equal, a reload need not touch the site.
type codeTree map[string]fileMark

type fileMark struct {
	modified time.Time
	size     int64
}

// readCodeTree notes the code of a site as it is now: source, templates,
// translations and settings below its directories, and the packages that its
// interpreter has installed. A current -> releases/7 link counts by where it leads.
func readCodeTree(c *config.Site) codeTree {
	t := codeTree{}
	for _, file := range []string{c.WSGI, c.App, c.Settings} {
		if filepath.IsAbs(file) {
			t.add(file)
		}
	}
	if c.Kind != config.WSGI {
		return t
	}
	t.add(c.Python)
	for _, dir := range packageDirs(c) {
		t.addEntries(dir)
	}
	for _, dir := range codeRoots(c) {
		t.walk(dir)
	}
	return t
}

// codeRoots are the directories below which a Python site has its code.
func codeRoots(c *config.Site) []string {
	dirs := slices.Clone(c.PythonPath)
	if c.Home != "" {
		dirs = append(dirs, c.Home)
	}
	return dirs
}

// packageDirs are where its interpreter has what is installed.
func packageDirs(c *config.Site) []string {
	dirs, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(c.Python)), "lib", "python*", "site-packages")) // the pattern is valid
	return dirs
}

func (t codeTree) equal(o codeTree) bool { return maps.Equal(t, o) }

// add notes a file; what can not be read is not noted, and its appearance is a change.
func (t codeTree) add(path string) {
	if info, err := os.Stat(path); err == nil {
		t[path] = fileMark{info.ModTime(), info.Size()}
	}
}

// addEntries notes what is installed in a directory, not the files of each package.
func (t codeTree) addEntries(dir string) {
	entries, _ := os.ReadDir(dir) // an unreadable directory has no entries
	for _, e := range entries {
		if e.Name() != "__pycache__" {
			t.add(filepath.Join(dir, e.Name()))
		}
	}
}

func (t codeTree) walk(dir string) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		t[dir+" -> "+real] = fileMark{} // both releases may lie below another directory of the site
		dir = real
	}
	walkCode(dir, func(path string, isDir bool) bool {
		if !isDir && isCode(path) {
			t.add(path)
		}
		return len(t) < maxCodeFiles
	})
}

// walkCode visits a directory and what is below it, but no other environment, until
// visit returns false. What can not be read is skipped.
func walkCode(dir string, visit func(path string, isDir bool) (more bool)) {
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error { // it returns no other error
		switch {
		case err != nil:
			return nil
		case e.IsDir() && path != dir && skipDir(path, e.Name()):
			return filepath.SkipDir
		case !visit(path, e.IsDir()):
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
