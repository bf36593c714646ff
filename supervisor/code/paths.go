package code

import (
	"os"
	"path/filepath"
)

// Paths maps directories, as they are named in sites.toml, to where they really were
// when a generation was made. A link among them (current -> releases/7) may have
// another target later; that is for the next generation: all workers of one run the
// same code.
type Paths map[string]string

// ResolvePaths follows the links in the names of directories. Those that are not
// absolute, do not exist, or hold no link are left out.
func ResolvePaths(dirs []string) Paths {
	p := Paths{}
	for _, dir := range dirs {
		if real, err := filepath.EvalSymlinks(dir); err == nil && real != dir && filepath.IsAbs(dir) {
			p[dir] = real
		}
	}
	return p
}

// At returns where a directory, or a file in one, really was. If it does not exist any
// more it returns path itself: new code is better than none.
func (p Paths) At(path string) string {
	real, known := p[path]
	if !known {
		if real, known = p[filepath.Dir(path)]; known {
			real = filepath.Join(real, filepath.Base(path))
		}
	}
	if !known {
		return path
	}
	if _, err := os.Stat(real); err != nil {
		return path
	}
	return real
}
