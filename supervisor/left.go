package supervisor

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/process"
)

// leftTime is how long what a killed supervisor left may take to end.
const leftTime = 5 * time.Second

// mark is a variable that tells whose a process is: the file is named by what the
// kernel knows it by, which is one however its path is written, and another in each
// container. Whoever holds the lock knows that no supervisor runs whose processes
// have it.
func (l *lock) mark() (string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(l.file.Fd()), &st); err != nil {
		return "", fmt.Errorf("look at %s: %w", l.file.Name(), err)
	}
	return fmt.Sprintf("MULTISITE_LOCK=%d:%d", st.Dev, st.Ino), nil
}

// marked is an environment with the mark.
func (t *site) marked(env []string) []string {
	if t.super.mark == "" {
		return env
	}
	return append(env, t.super.mark)
}

// endLeft ends what a supervisor that was killed left: its children have died with
// it, but not what they had started themselves.
func (s *Supervisor) endLeft() {
	if !s.lock.stale {
		return
	}
	ended, err := process.KillMarked(s.mark, leftTime)
	switch {
	case err != nil:
		s.log.Error("processes of a supervisor that was killed are left", "error", err)
	case ended > 0:
		s.log.Warn("processes of a supervisor that was killed were ended", "processes", ended)
	}
}
