package launches

import (
	"context"
	"errors"
	"sync"
)

// first lets the first launch of a generation run before all others: its result holds for
// all. A generation whose first launch has succeeded is proven, and its others need not wait.
type first struct {
	mu sync.Mutex
	// mu protects all below.
	proven  bool
	current *attempt // the first launch; nil: none runs
}

// attempt is a first launch that others wait for.
type attempt struct {
	done chan struct{} // closed when err is set
	err  error         // nil also when nothing was learned: the next one is the first then
}

// SharedError is the error of a launch that was not made, since the first one had
// failed with the same error, which has been reported.
type SharedError struct{ error }

// Unwrap returns the error of the first launch.
func (e *SharedError) Unwrap() error { return e.error }

// Exited reports that no process exited, since that was the other launch's, and
// whether that one's exited for lack of memory.
func (e *SharedError) Exited() (exited, oom bool) {
	var other interface{ Exited() (exited, oom bool) }
	if errors.As(e.error, &other) {
		_, oom = other.Exited()
	}
	return false, oom
}

// await returns report if the caller is the first, which must call it with its result.
// Otherwise it waits for the first, and returns its error.
func (f *first) await(ctx context.Context) (report func(error), err error) {
	for {
		f.mu.Lock()
		if f.proven {
			f.mu.Unlock()
			return nil, nil
		}
		a := f.current
		if a == nil {
			a = &attempt{done: make(chan struct{})}
			f.current = a
			f.mu.Unlock()
			return func(err error) { f.report(ctx, a, err) }, nil
		}
		f.mu.Unlock()
		select {
		case <-a.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if a.err != nil {
			return nil, &SharedError{a.err}
		}
	}
}

// report ends an attempt. If it was cancelled nothing was learned, and one of those
// that wait goes first.
func (f *first) report(ctx context.Context, a *attempt, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.proven, f.current = err == nil, nil
	if ctx.Err() == nil {
		a.err = err
	}
	close(a.done)
}
