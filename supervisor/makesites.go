package supervisor

import (
	"fmt"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
)

// makeSites makes the sites of sites.toml, with what an upgrade has left of them. At
// a start, one that can not be made is an error; after an upgrade it is left out.
func (s *Supervisor) makeSites() error {
	var fresh []*generation
	look := s.lookAtCode()
	for _, cfg := range s.cfg.Sites {
		t, inherited, err := s.makeSite(cfg, look)
		switch {
		case err != nil && s.inherited != nil:
			s.log.Error("site left out; multisite reload tries again", "site", cfg.Name, "error", err)
			continue
		case err != nil:
			return fmt.Errorf("site %s: %w", cfg.Name, err)
		case !inherited:
			fresh = append(fresh, t.current)
		}
		s.sites.sites = append(s.sites.sites, t) // no other goroutine has it yet
	}
	joinProjects(fresh, s.log)
	if s.inherited != nil {
		s.inherited.endGoneSites(s)
	}
	return nil
}

func (s *Supervisor) makeSite(c *config.Site, look *code.Look) (t *site, inherited bool, err error) {
	if s.inherited != nil {
		if st, left := s.inherited.sites[c.Name]; left {
			t, err = s.inherited.site(s, c, st)
			return t, true, err
		}
	}
	t, err = s.newSite(c, look)
	return t, false, err
}
