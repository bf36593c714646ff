package process

import "strings"

// LaunchError says why a worker did not become ready, in the words of the site's own code
// if it has written any.
type LaunchError struct {
	Problem string   // one line: "ModuleNotFoundError: No module named 'shop'"
	Detail  string   // a traceback or the last lines of output; may be empty
	Process *Process // that was started and has exited; nil: none was started
	Err     error    // why the launch was cancelled; nil: it failed by itself
}

func (e *LaunchError) Error() string { return e.Problem }

// Unwrap returns why the launch was cancelled.
func (e *LaunchError) Unwrap() error { return e.Err }

// Exited reports whether there was a process, and whether it exited for lack of memory.
func (e *LaunchError) Exited() (exited, oom bool) {
	if e.Process == nil {
		return false, false
	}
	return true, e.Process.OOM() || e.Process.refused() && speaksOfMemory(e.Problem)
}

// Prepare calls want, which may be nil, for a new process before it serves. It returns a
// LaunchError if that fails.
func Prepare(p *Process, want func(*Process) error) error {
	if want == nil {
		return nil
	}
	if err := want(p); err != nil {
		return NewLaunchError(err.Error(), p)
	}
	return nil
}

// NewLaunchError returns the error of a process that exited before it was ready.
func NewLaunchError(problem string, p *Process) *LaunchError {
	return &LaunchError{Problem: problem, Detail: strings.Join(p.Tail(), "\n"), Process: p}
}
