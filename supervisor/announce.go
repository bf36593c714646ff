package supervisor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/worker/process"
)

// announce tells the service manager when every site has settled. One that has
// failed keeps none of the others from being ready; the status names it.
func (s *Supervisor) announce(ctx context.Context) {
	_ = s.Ready(ctx) // told by outline
	if ctx.Err() == nil {
		s.notify.Ready(s.outline())
	}
}

// outline is the state of all sites in one line.
func (s *Supervisor) outline() string {
	sites := s.all()
	var failed []string
	for _, t := range sites {
		if err := t.pool.Status().LastError; err != nil {
			failed = append(failed, fmt.Sprintf("%s (%v)", t.name, err))
		}
	}
	line := fmt.Sprintf("%d sites ready", len(sites))
	if len(failed) > 0 {
		line = fmt.Sprintf("%d of %d sites failed: %s", len(failed), len(sites), strings.Join(failed, ", "))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reloadError != nil {
		line += "; last reload failed: " + s.reloadError.Error()
	}
	return line
}

// keepReload keeps what came of a reload until the next one. One that asks for a site
// that there is not says nothing of those that there are.
func (s *Supervisor) keepReload(err error) {
	var call *control.Error
	if errors.As(err, &call) && call.Usage {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reloadError = err
}

// watchdog tells the service manager that we are alive.
func (s *Supervisor) watchdog(ctx context.Context) { s.notify.Watchdog(ctx, s.answers) }

// answers returns when the front door's thread has answered, and every lock that
// requests need was had.
func (s *Supervisor) answers() {
	s.door.Answers()
	for _, t := range s.all() {
		t.pool.Status()
	}
}

// orphanPeriod is how often what is left to us is looked for.
const orphanPeriod = 3 * time.Second

// reapOrphans lets nothing that was left to us stay as a zombie: we are the first
// process of a container, or the subreaper anyway.
func reapOrphans(ctx context.Context) { process.ReapOrphans(ctx, orphanPeriod) }
