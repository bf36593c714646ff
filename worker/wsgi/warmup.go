package wsgi

import (
	"slices"

	"github.com/multisite/multisite/worker/process"
)

// WarmupResult is the result of one warm-up request.
type WarmupResult struct {
	Path      string `json:"path"`
	Failed    bool   `json:"failed,omitempty"`    // the application raised an exception or answered 5xx
	Problem   string `json:"problem,omitempty"`   // why the request failed or ran no view; "": it succeeded
	Traceback string `json:"traceback,omitempty"` // of the exception; "": there was none
}

// WarmupResults returns the results of the last warm-up; nil: there was none.
func (r *Runtime) WarmupResults() []WarmupResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.warmed
}

// MustAnswer makes it an error when a zygote fails at a warm-up path that old, the
// generation that serves now, has answered. It applies until a zygote has been
// made. A path that failed before does not count. old may be nil.
func (r *Runtime) MustAnswer(old *Runtime) {
	if old == nil {
		return
	}
	paths := warmedPaths(old.WarmupResults())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mustAnswer = paths
}

// keepWarmup logs and keeps the results of a warm-up. It returns an error if a path
// failed that must be answered.
func (r *Runtime) keepWarmup(warmed []WarmupResult) error {
	for _, w := range warmed {
		if w.Problem != "" {
			r.opts.Log.Warn("warm-up request", "path", w.Path, "problem", w.Problem)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range warmed {
		if w.Failed && slices.Contains(r.mustAnswer, w.Path) {
			return &process.LaunchError{Problem: "warm-up request " + w.Path + " failed, which the old workers answer: " + w.Problem, Detail: w.Traceback}
		}
	}
	r.warmed, r.mustAnswer = warmed, nil // from now on this generation serves
	return nil
}
