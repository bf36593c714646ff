// Package launches decides when a worker may be launched, and how long that may take.
// Slots limit how many workers start at once on this machine. The first launch of each
// generation runs alone, and the others wait for its result: a site that hangs while it
// loads takes one slot, not all. The package starts nothing itself.
package launches

import (
	"context"
	"time"
)

// Guard guards the launches of one generation of a site. Its fields are set before
// its first use, and do not change.
type Guard struct {
	Slots Slots        // shared by all sites
	Room  func() error // returns why this machine has no room for another process; nil: it is not asked

	// Timeout returns how long a launch may take, and the error of one that takes
	// longer. It is asked for each launch, since the limit may change.
	Timeout func() (limit time.Duration, late error)

	// Before is called in a slot of its own, and may take its own time: the limit does not
	// run yet. It must return when ctx ends; may be nil.
	Before func(ctx context.Context)

	first first
}

// Do calls launch when it is its turn. The context of launch ends after the limit of
// time, with the error that Timeout returned as its cause; waiting for the turn, and
// Before, do not count.
func (g *Guard) Do(ctx context.Context, launch func(context.Context) error) (err error) {
	report, err := g.first.await(ctx)
	if err != nil {
		return err
	}
	if report != nil {
		defer func() { report(err) }()
	}
	if g.Before != nil {
		free, err := g.Slots.take(ctx, report == nil)
		if err != nil {
			return err
		}
		g.Before(ctx)
		free()
	}
	free, err := g.Slots.take(ctx, report == nil)
	if err != nil {
		return err
	}
	defer free()
	if g.Room != nil {
		if err := g.Room(); err != nil {
			return err
		}
	}
	limit, late := g.Timeout()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, late)
	defer cancel()
	return launch(ctx)
}
