// Package code finds out whether the code that a site runs has changed. It compares files
// by what the file system says of them (time, size, inode), and never reads them.
//
// A Look reads each Place once, however many sites have it, and keeps a Part that has not
// changed: a thousand sites of one code base share it. A Part never changes and is safe
// for use by several goroutines; a Look is not.
package code

import "slices"

// Place is where a part of a site's code lies.
type Place struct {
	Kind Kind
	Path string
}

// Kind is what is at a Place. The numbers are part of the handover from one version of
// multisite to the next.
type Kind int

// The kinds of places.
const (
	File        Kind = iota
	Interpreter      // a Python interpreter, and the packages that are installed for it
	Directory        // a directory and all below it
)

// Tree is the code of a site: source, templates, translations and settings below its
// directories, and the packages that its interpreter has installed. As long as it
// stays equal, a reload need not replace the site's workers.
type Tree []*Part

// Equal reports whether both trees have the same files, and none has changed.
func (t Tree) Equal(o Tree) bool { return slices.EqualFunc(t, o, (*Part).equal) }

// Sums returns what the next supervisor needs after an upgrade to compare the tree
// with what it finds.
func (t Tree) Sums() (sums []Sum) {
	for _, p := range t {
		sums = append(sums, Sum{p.Kind, p.Path, p.sum()})
	}
	return sums
}

// Sum is what an upgrade hands over of a Part.
type Sum struct {
	Kind Kind   `json:"kind"`
	Path string `json:"path"`
	Sum  string `json:"sum"`
}

// FromSums returns the tree of which these are the sums.
func FromSums(sums []Sum) (t Tree) {
	for _, s := range sums {
		t = append(t, &Part{Place: Place{s.Kind, s.Path}, summed: s.Sum})
	}
	return t
}
