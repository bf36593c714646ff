// Package site holds what the two halves of the front door, fastloop and proxy, know of a
// site: which requests are its own, who runs them, its limits, and what is counted and
// logged of them. It serves nothing itself.
package site

import (
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Site is what the front door needs to know of a site. It does not change after it is in
// a Table; a reload makes a new one. Clients and Stats are pointers because they outlive
// reloads.
type Site struct {
	Name string

	// Who runs the requests.
	Backend Backend
	Fast    FastBackend // the same workers, for the fast loop; nil: only through Backend

	// Limits.
	RequestTimeout time.Duration // from claim to the end of the answer; 0: none
	MaxBody        int64         // bytes of a request body; 0: no limit
	MaxPerAddress  int           // requests that one address may have under way; 0: no limit
	Clients        *Clients      // counts those; nil only without MaxPerAddress

	// Static files are looked up in this order, before a worker is claimed.
	Static []Static

	// What is counted and logged.
	Stats  *Stats
	Log    *slog.Logger
	Access func(Entry) // is called for every answered request; must not block; may be nil
}

// Static maps a URL prefix to directories. The first that has a file wins.
type Static struct {
	Prefix string // "/static/"
	Dirs   []string
	// Only says that a worker is not asked for a file that is not found here.
	Only bool
	// As runs a function with the rights of the site's user, since a site may name any
	// directory as its own; nil: the function runs with the front door's rights.
	As func(func()) error
}

// HasStatic reports whether a path may be a file of the site.
func (s *Site) HasStatic(path string) bool {
	return slices.ContainsFunc(s.Static, func(d Static) bool { return strings.HasPrefix(path, d.Prefix) })
}

// Record counts and logs an answered request.
func (s *Site) Record(e Entry) {
	s.Stats.record(e.Took, e.Status)
	if s.Access != nil {
		s.Access(e)
	}
}
