package supervisor

import (
	"context"
	"sync"
	"time"
)

// placeTime is how long a launch keeps its place. What takes longer hardly computes:
// it waits for something, and may wait long.
const placeTime = 2 * time.Second

// places bound how many workers start at once on this machine. Those of generations
// that are not proved have places of their own: none of them may ever be ready.
type places struct{ proved, others chan struct{} }

func newPlaces(n int) places { return places{make(chan struct{}, n), make(chan struct{}, n)} }

// take waits for a place. It is given back by free, or after placeTime.
func (p places) take(ctx context.Context, proved bool) (free func(), err error) {
	of := p.others
	if proved {
		of = p.proved
	}
	select {
	case of <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	leave := sync.OnceFunc(func() { <-of })
	overdue := time.AfterFunc(placeTime, leave)
	return func() {
		overdue.Stop()
		leave()
	}, nil
}
