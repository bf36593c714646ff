package supervisor

import (
	"errors"
	"slices"
	"strings"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/pool"
)

var errDraining = errors.New("the supervisor is going down")

// all returns the sites of now, in order of name.
func (s *Supervisor) all() []*site {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sites
}

// addSite starts a new site.
func (s *Supervisor) addSite(t *site) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.goingDown(); err != nil {
		return err
	}
	sites := append(slices.Clone(s.sites), t) // all has handed the old slice out
	slices.SortFunc(sites, func(a, b *site) int { return strings.Compare(a.name, b.name) })
	s.sites = sites
	s.runSite(t)
	return nil
}

// removeSite takes a site out of the front door for a reload; its workers are the
// caller's to end.
func (s *Supervisor) removeSite(t *site) {
	t.pool.SetStopReason(pool.ReasonReload)
	t.tasks.SetStopReason(string(pool.ReasonReload))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sites = slices.DeleteFunc(slices.Clone(s.sites), func(o *site) bool { return o == t })
}

func (s *Supervisor) config() *config.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg
}

func (s *Supervisor) setConfig(c *config.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg = c
}
