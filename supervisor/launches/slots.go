package launches

import (
	"context"
	"sync"
	"time"
)

// slotTime is how long a launch keeps its slot. One that takes longer rarely computes:
// it waits for something, and may do so for long.
const slotTime = 2 * time.Second

// Slots limit how many workers start at once on this machine. Launches of generations
// that are not proven have slots of their own, since none of them may ever succeed.
type Slots struct{ proven, trials chan struct{} }

// NewSlots returns n slots for either kind of launch.
func NewSlots(n int) Slots { return Slots{make(chan struct{}, n), make(chan struct{}, n)} }

// take waits for a slot. It is given back by free, or after slotTime.
func (s Slots) take(ctx context.Context, proven bool) (free func(), err error) {
	slots := s.trials
	if proven {
		slots = s.proven
	}
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	giveBack := sync.OnceFunc(func() { <-slots })
	overdue := time.AfterFunc(slotTime, giveBack)
	return func() {
		overdue.Stop()
		giveBack()
	}, nil
}
