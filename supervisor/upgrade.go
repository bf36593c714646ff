package supervisor

import (
	"context"
	"os"
	"syscall"
	"time"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/worker/process"
)

// journalTime is how long clients may wait for a journal on a slow disk.
const journalTime = time.Second

var errUpgrading = &control.Error{Message: "an upgrade is under way", Hint: "try again"}

// Upgrade replaces the supervisor by another program, which answers caller, if that
// is not nil. It returns only with an error: then nothing has changed.
func (s *Supervisor) Upgrade(ctx context.Context, path string, caller *control.Caller) error {
	select {
	case <-s.life.serving: // else what the supervisor before has left would be lost
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !s.upgrading.CompareAndSwap(false, true) {
		return errUpgrading
	}
	defer s.upgrading.Store(false)
	s.reloading.Lock() // one that runs is waited for
	defer s.reloading.Unlock()
	if caller != nil && !caller.Owner {
		if !sameFile(path, s.from) {
			return refusal(path, "only who runs the supervisor may name another program than "+s.from)
		}
		path = s.from // the other name may lead elsewhere by now
	}
	next, err := s.findSuccessor(ctx, path)
	if err != nil {
		s.log.Warn("no upgrade", "error", err)
		return err
	}
	defer next.file.Close()
	s.log.Info("upgrade", "program", path, "from", s.version, "to", next.Version)
	defer s.announcer.reloading()()
	err = s.upgradeTo(ctx, next, caller)
	s.log.Error("upgrade failed", "program", path, "error", err)
	return refusal(path, reasonOf(err))
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// UpgradeAndLog is Upgrade for when nobody waits for the answer, by the program
// that stands where this one was started from.
func (s *Supervisor) UpgradeAndLog(ctx context.Context) {
	_ = s.Upgrade(ctx, s.from, nil) // it is in the log
}

// upgradeTo waits for a good moment and hands over. When that fails everything is
// as it was.
func (s *Supervisor) upgradeTo(ctx context.Context, next *successor, caller *control.Caller) error {
	h := &halt{super: s, deadline: time.Now().Add(s.longestGrace())}
	if caller != nil {
		h.own = 1
	}
	defer h.undo()
	if err := h.reach(ctx); err != nil {
		return err
	}
	var conn syscall.Conn
	if caller != nil {
		var err error
		if conn, err = caller.Take(); err != nil {
			return err
		}
	}
	return s.exec(next, conn, h.since)
}

// exec replaces the program. From here on nothing may start or be reaped.
func (s *Supervisor) exec(next *successor, caller syscall.Conn, paused time.Time) error {
	for _, t := range s.sites.all() {
		t.access.Flush()
	}
	s.refusals.Flush()
	ctx, cancel := context.WithTimeout(context.Background(), journalTime)
	defer cancel()
	if err := s.journal.Flush(ctx); err != nil {
		s.log.Warn("journal not complete", "error", err)
	}
	defer process.HoldReaping()()
	b := &process.Baggage{}
	st, err := s.pack(b, caller)
	if err != nil {
		b.Close()
		return err
	}
	st.Paused = paused
	s.sites.mu.Lock() // so that Run, if told to end after the last question, gets no further
	defer s.sites.mu.Unlock()
	return b.Exec(next.path(), s.args, os.Environ(), st, s.life.ending)
}

// longestGrace is how long requests may take that an upgrade waits for.
func (s *Supervisor) longestGrace() (longest time.Duration) {
	for _, t := range s.sites.all() {
		longest = max(longest, t.config().GracefulTimeout)
	}
	return longest
}

// welcome goes on where the supervisor before has stopped.
func (s *Supervisor) welcome() {
	in := s.inherited
	clients := in.clients()
	s.door.Adopt(clients)
	for _, c := range clients {
		c.File.Close()
	}
	paused := in.answer(s.version)
	in.baggage.Close()
	for _, t := range s.sites.all() {
		t.letZygoteRest()
	}
	s.log.Info("upgraded", "from", in.Version, "to", s.version, "paused", paused, "clients", len(clients))
}

// rollStale replaces workers that were launched with other settings than those that
// sites.toml has: it had changed when the upgrade read it.
func (s *Supervisor) rollStale(ctx context.Context) {
	look := s.lookAtCode()
	eachSite(s.sites.all(), func(t *site) {
		if t.stale == "" {
			return
		}
		t.log.Info("new workers after the upgrade", "reason", t.stale)
		next, err := t.newGeneration(t.config(), look)
		if err == nil {
			err = t.roll(ctx, next, pool.ReasonReload, func() {})
		}
		if err != nil && ctx.Err() == nil {
			t.log.Error("its old workers serve on", "error", err)
		}
	})
}
