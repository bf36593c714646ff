package wsgi

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// skippedWarmup says which warm-up requests zygotes do not make, since they made
// one that was not fork-safe.
type skippedWarmup struct {
	all   string            // why no path is requested; "": some are
	paths map[string]string // why these paths are not requested
}

// skipWarmup leaves out of the warm-up what info, the report of a zygote that was not
// fork-safe after it, says to have done that: the first time those paths if there are
// others, else all. Of paths that visitors have decided it leaves out those, every time. It
// reports false when there is nothing left to leave out.
func (r *Runtime) skipWarmup(info startReport) bool {
	rest := r.warmupPaths()
	opened := slices.DeleteFunc(slices.Sorted(maps.Keys(info.OpenedBy)), func(path string) bool { return !slices.Contains(rest, path) })
	hazards := (&hazardError{info.Hazards}).text()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(rest) == 0 {
		return false
	}
	if r.skipped.paths != nil && !r.opts.Learned || len(opened) == 0 || len(opened) == len(rest) {
		r.skipped.all = hazards
		r.opts.Log.Warn("the zygote is made again without the warm-up, after which it was not fork-safe", "reason", hazards)
		return true
	}
	for _, path := range opened {
		r.skipPathLocked(path, (&hazardError{info.OpenedBy[path]}).text())
	}
	return true
}

func (r *Runtime) skipPathLocked(path, why string) {
	if r.skipped.paths == nil {
		r.skipped.paths = map[string]string{}
	}
	r.skipped.paths[path] = why
	r.opts.Log.Warn("the zygote is made again without a warm-up path", "path", path, "reason", why)
}

// skipLearned leaves out of the warm-up what visitors have put there, since the zygote died
// or did not come to its end. It reports false when nothing is left of that.
func (r *Runtime) skipLearned(why string) bool {
	rest := r.warmupPaths()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.opts.Learned {
		return false
	}
	for _, path := range rest {
		r.skipPathLocked(path, why)
	}
	return len(rest) > 0
}

// warmupPaths returns the paths that a zygote requests.
func (r *Runtime) warmupPaths() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.skipped.all != "" {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(r.opts.Warmup), func(path string) bool { return r.skipped.paths[path] != "" })
}

// warmsAll reports whether zygotes request all paths.
func (r *Runtime) warmsAll() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.skipped.all == "" && r.skipped.paths == nil
}

// sharingNote returns what status shows about workers that are forked from the
// site zygote: "on", and if something had to be done for it, what that was.
func (r *Runtime) sharingNote(m *template) string {
	var done []string
	r.mu.Lock()
	skipped := r.skipped
	r.mu.Unlock()
	switch warmed := pagesOf(m.info.Warmup); {
	case skipped.all != "":
		done = append(done, "without warm-up ("+skipped.all+")")
	case len(warmed) > 0 && r.opts.Learned:
		done = append(done, "warmed up to what visitors ask for most: "+strings.Join(warmed, " "))
	case len(warmed) > 0 && (skipped.paths != nil || len(m.info.Closed) > 0):
		done = append(done, "warmed up to "+strings.Join(warmed, " "))
	}
	if len(m.info.Closed) > 0 {
		done = append(done, "closed "+strings.Join(m.info.Closed, " and "))
	}
	if skipped.all == "" {
		for _, path := range slices.Sorted(maps.Keys(skipped.paths)) {
			done = append(done, "left out "+path+": "+skipped.paths[path])
		}
	}
	note := strings.Join(append([]string{"on"}, done...), ", ") + m.notLearnedNote()
	if n := m.info.EndedByFork; n > 0 {
		note += fmt.Sprintf(" (a fork ends %d threads of C libraries)", n)
	}
	return note
}

// pagesOf returns the paths that were answered by the page itself.
func pagesOf(results []WarmupResult) (paths []string) {
	for _, w := range results {
		if w.Problem == "" {
			paths = append(paths, w.Path)
		}
	}
	return paths
}

// warmedPaths returns the paths that were answered, if only by a redirect.
func warmedPaths(results []WarmupResult) (paths []string) {
	for _, w := range results {
		if !w.Failed {
			paths = append(paths, w.Path)
		}
	}
	return paths
}
