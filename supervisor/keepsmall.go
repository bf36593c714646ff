package supervisor

import (
	"context"
	"time"

	"github.com/multisite/multisite/supervisor/footprint"
)

// trimPeriod is how often memory is returned that only rare requests and commands need.
const trimPeriod = 10 * time.Minute

// keepSmall returns what the start has needed to the kernel when each site is ready or
// has failed, and what has come since after each reload, and from time to time.
func (s *Supervisor) keepSmall(ctx context.Context) {
	_ = s.Ready(ctx) // the summary has the error
	ticker := time.NewTicker(trimPeriod)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if err := footprint.Trim(); err != nil {
			s.log.Debug("memory not returned", "error", err)
		}
		select {
		case <-ticker.C:
		case <-s.reloader.ended:
		case <-ctx.Done():
		}
	}
}
