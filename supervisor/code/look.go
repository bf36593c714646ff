package code

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Look is one look at the code of many sites, by one goroutine.
type Look struct {
	before map[Place]*Part // of the trees given to NewLook
	found  map[Place]*Part // what was read, each place once
}

// NewLook returns a look that keeps the parts of the trees that have not changed.
func NewLook(trees ...Tree) *Look {
	l := &Look{before: map[Place]*Part{}, found: map[Place]*Part{}}
	for _, t := range trees {
		for _, p := range t {
			l.before[p.Place] = p
		}
	}
	return l
}

// Tree returns the code at some places.
func (l *Look) Tree(places []Place) Tree {
	var t Tree
	for _, at := range places {
		t = append(t, l.part(at))
	}
	return t
}

func (l *Look) part(at Place) *Part {
	if p := l.found[at]; p != nil {
		return p
	}
	p := at.read()
	if old := l.before[at]; old != nil && old.equal(p) && slices.Equal(old.dirs, p.dirs) {
		p = old
	}
	l.found[at] = p
	return p
}

// Files returns those of some files that exist.
func (l *Look) Files(paths []string) Marks {
	m := Marks{}
	for _, path := range paths {
		maps.Copy(m, l.part(Place{File, path}).files)
	}
	return m
}

// Watch returns the directories in which a change at some places shows, and a function
// that reports whether a change of a path in them may be one.
func (l *Look) Watch(places []Place) (dirs []string, matters func(path string) bool) {
	parts := l.Tree(places)
	files, in := map[string]bool{}, map[string]bool{}
	for _, p := range parts {
		addLinks(files, p.Path)
		for _, dir := range p.dirs {
			in[dir] = true
		}
	}
	for path := range files {
		in[filepath.Dir(path)] = true
	}
	return slices.Sorted(maps.Keys(in)), func(path string) bool {
		return files[path] || slices.ContainsFunc(parts, func(p *Part) bool { return p.matters(path) })
	}
}

// addLinks adds a path and the symbolic links on the way to it: a deployment may
// switch one of those.
func addLinks(files map[string]bool, path string) {
	files[path] = true
	for p := path; p != filepath.Dir(p); p = filepath.Dir(p) {
		if info, err := os.Lstat(p); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			files[p] = true
		}
	}
}
