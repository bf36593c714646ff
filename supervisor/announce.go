package supervisor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/systemd"
)

// announcer reports the state of the supervisor to the service manager.
type announcer struct {
	*systemd.Notifier
	sites *registry

	mu sync.Mutex
	// mu protects reloadError.
	reloadError error // of the last reload; nil: it succeeded, or there was none
}

// summary returns the state of all sites in one line.
func (a *announcer) summary() string {
	sites := a.sites.all()
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
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.reloadError != nil {
		line += "; last reload failed: " + a.reloadError.Error()
	}
	return line
}

// reloading reports that a reload or an upgrade begins. The caller calls the function
// that it returns when it has ended.
func (a *announcer) reloading() (done func()) {
	reloaded := a.Reloading()
	return func() { reloaded(a.summary()) }
}

// setReload keeps the result of a reload until the next one. A reload of a site that does
// not exist says nothing of those that do.
func (a *announcer) setReload(err error) {
	var call *control.Error
	if errors.As(err, &call) && call.Usage {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reloadError = err
}

// announce reports that the supervisor is ready when each site is, or has failed: one
// that has failed keeps none of the others from being ready, and the summary names it.
func (s *Supervisor) announce(ctx context.Context) {
	_ = s.Ready(ctx) // the summary has the error
	if ctx.Err() == nil {
		s.announcer.Ready(s.announcer.summary())
	}
}

// answers returns when the front door's thread has answered, and every lock that
// requests need was taken once. The service manager learns by it that we are alive.
func (s *Supervisor) answers() {
	s.door.Probe()
	for _, t := range s.sites.all() {
		t.pool.Status()
	}
}
