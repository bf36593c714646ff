package supervisor

import (
	"context"
	"time"

	"github.com/multisite/multisite/supervisor/footprint"
)

// unmapPeriod is how often the pages of the program are unmapped that have not run since.
const unmapPeriod = time.Minute

// keepSmall returns what the start has needed to the kernel when each site is ready or
// has failed, and what a reload has needed after it. What rare requests and commands need
// is the program's pages, which it unmaps from time to time.
func (s *Supervisor) keepSmall(ctx context.Context) {
	_ = s.Ready(ctx) // the summary has the error
	ticker := time.NewTicker(unmapPeriod)
	defer ticker.Stop()
	shrink := footprint.Trim
	for ctx.Err() == nil {
		if err := shrink(); err != nil {
			s.log.Debug("memory not returned", "error", err)
		}
		select {
		case <-ticker.C:
			shrink = footprint.Unmap
		case <-s.reloader.ended:
			shrink = footprint.Trim
		case <-ctx.Done():
		}
	}
}
