package supervisor

import (
	"context"
	"errors"
	"sync"

	"github.com/multisite/multisite/supervisor/pool"
)

// scout lets the first worker of a generation go ahead alone: what is told of it is
// true of all. Were they all to try at once, a site that hangs while it loads would
// take every place in which workers start, and hold up the others.
type scout struct {
	mu sync.Mutex
	// mu protects all below
	proved bool
	out    *expedition // nil: nobody is under way
}

type expedition struct {
	done chan struct{} // closed when err is set
	err  error
}

// sharedError is what another worker has met and told already.
type sharedError struct{ error }

func (e *sharedError) Unwrap() error { return e.error }

// Ended tells of no process: that was the other's.
func (e *sharedError) Exited() (exited, oom bool) {
	var ended pool.ExitError
	if errors.As(e.error, &ended) {
		_, oom = ended.Exited()
	}
	return false, oom
}

// lead returns report when the caller is the first, who is to call it with what
// came of it. Else it waits for the first, and returns its error.
func (s *scout) lead(ctx context.Context) (report func(error), err error) {
	for {
		s.mu.Lock()
		if s.proved {
			s.mu.Unlock()
			return nil, nil
		}
		out := s.out
		if out == nil {
			out = &expedition{done: make(chan struct{})}
			s.out = out
			s.mu.Unlock()
			return func(err error) { s.report(ctx, out, err) }, nil
		}
		s.mu.Unlock()
		select {
		case <-out.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if out.err != nil {
			return nil, &sharedError{out.err}
		}
	}
}

// report ends the expedition. Of a worker that was no longer wanted nothing is
// learned: the next one goes ahead.
func (s *scout) report(ctx context.Context, out *expedition, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proved, s.out = err == nil, nil
	if ctx.Err() == nil {
		out.err = err
	}
	close(out.done)
}
