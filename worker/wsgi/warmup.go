package wsgi

import (
	"slices"

	"github.com/multisite/multisite/worker/process"
)

// WarmupResult is what became of a warm-up request.
type WarmupResult struct {
	Path      string `json:"path"`
	Failed    bool   `json:"failed,omitempty"`    // it raised, or the answer was 5xx
	Problem   string `json:"problem,omitempty"`   // why it failed, or has warmed nothing; "": it has
	Traceback string `json:"traceback,omitempty"` // where it raised
}

// WarmupResults returns what became of the last warm-up; nil: there was none.
func (r *Runtime) WarmupResults() []WarmupResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.warmed
}

// MustAnswer lets no zygote be made that fails at a warm-up path which old, that
// serves now, has answered. It holds until one was made. A path that has failed
// before is no reason: old may be nil.
func (r *Runtime) MustAnswer(old *Runtime) {
	if old == nil {
		return
	}
	var paths []string
	for _, w := range old.WarmupResults() {
		if !w.Failed {
			paths = append(paths, w.Path)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mustAnswer = paths
}

// heed takes note of a warm-up. It is an error when what must be answered was not.
func (r *Runtime) heed(warmed []WarmupResult) error {
	for _, w := range warmed {
		if w.Problem != "" {
			r.opts.Log.Warn("warm-up", "path", w.Path, "problem", w.Problem)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range warmed {
		if w.Failed && slices.Contains(r.mustAnswer, w.Path) {
			return &process.LaunchError{Problem: "warm-up of " + w.Path + ", which the old workers answer: " + w.Problem, Detail: w.Traceback}
		}
	}
	r.warmed, r.mustAnswer = warmed, nil // from now on this generation is what serves
	return nil
}
