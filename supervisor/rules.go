package supervisor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/rules"
)

// rules returns the rules of the site as the front door applies them; nil: there are none.
func (t *site) rules(c *config.Site) *rules.Rules {
	r := &rules.Rules{
		Mount: c.Mount, Methods: c.Methods, Rate: c.RateLimit, Limiter: t.limiter, Passwords: t.super.passwords, Redirects: c.Redirects,
		Maintenance: t.maintenance.Load(),
	}
	if c.CanonicalHost {
		r.Canonical = hostsOf(c)[0]
	}
	for _, a := range c.Access {
		r.Access = append(r.Access, a.Area)
	}
	if r.Canonical == "" && r.Maintenance == nil && len(r.Methods) == 0 && r.Rate.Count == 0 && len(r.Access) == 0 && len(r.Redirects) == 0 {
		return nil
	}
	return r
}

func headersOf(c *config.Site) *rules.Headers {
	if len(c.Headers.Set)+len(c.Headers.Remove) == 0 {
		return nil
	}
	return &c.Headers
}

func pagesOf(c *config.Site) map[int]rules.Page {
	pages := map[int]rules.Page{}
	for status, p := range c.ErrorPages {
		pages[status] = p.Page
	}
	return pages
}

// rulesPeriod is how often files of rules are looked at.
const rulesPeriod = 2 * time.Second

// watchRules reads error pages and files of users again when they change, until ctx ends.
// No reload is needed for that, and no worker is concerned.
func (s *Supervisor) watchRules(ctx context.Context) {
	seen := map[string]string{} // by name of the site
	for ctx.Err() == nil {
		changed := false
		for _, t := range s.sites.all() {
			c := t.config()
			files := c.RuleFiles()
			now := marksOf(files)
			was, known := seen[t.name]
			if seen[t.name] = now; known && was != now && len(files) > 0 {
				changed = t.rereadRules(c) || changed
			}
		}
		if changed {
			s.publish()
		}
		sleep(ctx, rulesPeriod)
	}
}

// marksOf returns a text that differs when a file has.
func marksOf(files []string) string {
	var marks strings.Builder
	for _, file := range files {
		fmt.Fprint(&marks, file, "\x00")
		var st unix.Stat_t
		if unix.Stat(file, &st) == nil { // without one it differs, too
			fmt.Fprintln(&marks, st.Ino, st.Size, st.Mtim, st.Ctim)
		}
	}
	return marks.String()
}

// rereadRules reads the files of the site's rules, and reports whether they say something
// else.
func (t *site) rereadRules(c *config.Site) bool {
	now, err := c.WithRuleFiles()
	if err != nil {
		t.log.Warn("a file of the site's rules is not read again; what it said before counts", "error", err)
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cfg != c || c.Same(now) { // a reload has come before
		return false
	}
	t.cfg = now
	t.log.Info("files of rules read again", "files", strings.Join(c.RuleFiles(), ", "))
	return true
}
