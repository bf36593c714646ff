package process

import "strings"

// LaunchError says why a worker did not become ready, in the words of the
// site's own code where it spoke.
type LaunchError struct {
	Problem string   // one line: "ModuleNotFoundError: No module named 'shop'"
	Detail  string   // a traceback or the last lines of output; may be empty
	Process *Process // that was started, and has ended; nil: none was
	Err     error    // why it was ended; nil: it failed by itself
}

func (e *LaunchError) Error() string { return e.Problem }

// Unwrap returns why the launch was ended.
func (e *LaunchError) Unwrap() error { return e.Err }

// Exited tells whether there was a process, and whether it ended for want of memory.
func (e *LaunchError) Exited() (exited, oom bool) {
	if e.Process == nil {
		return false, false
	}
	return true, e.Process.OOM() || e.Process.refused() && speaksOfMemory(e.Problem)
}

// Prepare does to a new process what its owner wants, before it serves.
func Prepare(p *Process, want func(*Process) error) error {
	if want == nil {
		return nil
	}
	if err := want(p); err != nil {
		return NewLaunchError(err.Error(), p)
	}
	return nil
}

// NewLaunchError makes an error of a process that ended before it was ready.
func NewLaunchError(problem string, p *Process) *LaunchError {
	return &LaunchError{Problem: problem, Detail: strings.Join(p.Tail(), "\n"), Process: p}
}
