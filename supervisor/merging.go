package supervisor

import (
	"log/slog"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/ksm"
	"github.com/multisite/multisite/supervisor/status"
)

// merging applies merge_pages: it keeps the kernel's switch, and decides whether workers
// may opt in.
type merging struct {
	kernel ksm.Switch
	log    *slog.Logger

	mu sync.Mutex
	// mu protects problem, others and asked.
	problem string    // why pages are not merged as merge_pages wants it; "" if they are
	others  string    // a process of another user that has opted in; "": none was found
	asked   time.Time // when others was found
}

// othersPeriod is how long an answer about other users counts, so that a start of many
// sites does not look at all processes for each.
const othersPeriod = 5 * time.Second

// allowed reports whether the workers of a site may opt in. All opted-in processes of the
// machine merge with each other, so it is not allowed while another user has one.
func (m *merging) allowed(c *config.Site) bool {
	if !c.MergePages {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.othersLocked(c.UID()) == ""
}

func (m *merging) othersLocked(uid int) string {
	if time.Since(m.asked) > othersPeriod {
		m.others, m.asked = m.kernel.Kernel.OptedIn(uid), time.Now()
	}
	return m.others
}

// apply turns the kernel's switch on or off as cfg says, and returns what it has changed;
// "" for nothing.
func (m *merging) apply(cfg *config.Config) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.problem = ""
	if !cfg.MergePages {
		return m.offLocked()
	}
	if others := m.othersLocked(cfg.Sites[0].UID()); others != "" {
		m.problem = others + " merges its pages, too"
		m.log.Warn("merge_pages has no effect, since workers would share pages with another user", "with", others)
		return m.offLocked()
	}
	changed, err := m.kernel.TurnOn()
	if err != nil {
		m.problem = err.Error()
		m.log.Warn("merge_pages has no effect", "error", err)
	}
	if !changed {
		return ""
	}
	m.log.Info("merging of pages turned on for the whole machine", "file", m.kernel.Kernel.Sys+"/run")
	return "merge_pages: the kernel's switch is turned on"
}

// off turns the kernel's switch off if it was turned on for merge_pages.
func (m *merging) off() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.offLocked()
}

func (m *merging) offLocked() string {
	changed, err := m.kernel.TurnOff()
	if err != nil {
		m.log.Warn("merging of pages could not be turned off", "error", err)
	}
	if !changed {
		return ""
	}
	m.log.Info("merging of pages turned off again", "file", m.kernel.Kernel.Sys+"/run")
	return "merge_pages: the kernel's switch is turned off again"
}

// status adds to st what was merged.
func (m *merging) status(st *status.Status, zygotes []int) {
	m.mu.Lock()
	problem := m.problem
	m.mu.Unlock()
	k := m.kernel.Kernel
	found := &status.Merging{On: m.kernel.On(), Problem: problem, Saved: k.Saved(), Ksmd: k.KsmdSeconds()}
	for i := range st.Sites {
		for j := range st.Sites[i].Workers {
			w := &st.Sites[i].Workers[j]
			w.Merged = k.Merged(w.PID)
			found.Merged += w.Merged
		}
	}
	for _, pid := range zygotes {
		found.Merged += k.Merged(pid)
	}
	st.Supervisor.Merging = found
}
