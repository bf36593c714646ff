package supervisor

import (
	"maps"
	"slices"

	"github.com/multisite/multisite/supervisor/config"
)

// codeLook is one look at the code of many sites, by one goroutine. A place is read
// once, however many sites have it, and one that is as it was before keeps its part:
// a thousand sites of one code base hold it once, and compare it by its address.
type codeLook struct {
	before map[place]*codePart // as running sites know them
	found  map[place]*codePart
}

func (s *Supervisor) lookAtCode() *codeLook {
	l := &codeLook{before: map[place]*codePart{}, found: map[place]*codePart{}}
	for _, t := range s.all() {
		for _, p := range t.code() {
			l.before[p.place] = p
		}
	}
	return l
}

// code is what the site's workers run.
func (t *site) code() codeTree {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == nil {
		return nil
	}
	return t.current.code
}

// tree returns the code of a site.
func (l *codeLook) tree(c *config.Site) codeTree {
	var t codeTree
	for _, at := range placesOf(c) {
		t = append(t, l.part(at))
	}
	return t
}

func (l *codeLook) part(at place) *codePart {
	if p := l.found[at]; p != nil {
		return p
	}
	p := at.read()
	if was := l.before[at]; was != nil && was.equal(p) && slices.Equal(was.dirs, p.dirs) {
		p = was
	}
	l.found[at] = p
	return p
}

// files returns the marks of single files, those that are there.
func (l *codeLook) files(paths []string) marks {
	m := marks{}
	for _, path := range paths {
		maps.Copy(m, l.part(place{aFile, path}).files)
	}
	return m
}
