package supervisor

import (
	"time"

	"github.com/multisite/multisite/worker/process"
)

// strayPatience is how long the strays of a killed supervisor may take to exit.
const strayPatience = 5 * time.Second

// marked returns an environment with the mark of this supervisor's processes.
func (t *site) marked(env []string) []string {
	if t.super.mark == "" {
		return env
	}
	return append(env, t.super.mark)
}

// endStrays ends what a killed supervisor left: its children have died with it, but
// not what they had started themselves.
func (s *Supervisor) endStrays() {
	if !s.lock.Stale() {
		return
	}
	ended, err := process.KillMarked(s.mark, strayPatience)
	switch {
	case err != nil:
		s.log.Error("processes of a supervisor that was killed are left", "error", err)
	case ended > 0:
		s.log.Warn("processes of a supervisor that was killed were ended", "processes", ended)
	}
}
