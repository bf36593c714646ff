package supervisor

import (
	"context"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/pool"
	"github.com/multisite/multisite/worker/process"
)

// journalTime is how long clients may wait for a journal on a slow disk.
const journalTime = time.Second

var errUpgrading = &control.Error{Message: "an upgrade is under way", Hint: "try again"}

// upgrader replaces the program of the supervisor by another one in the same process
// (execve): it asks whether the other program can take over (upgrade_ask.go), quiesces
// (upgrade_quiesce.go), and packs what must live on (upgrade_pack.go), which the new
// image inherits (upgrade_inherit.go).
type upgrader struct {
	super *Supervisor

	// These come from Options, and do not change.
	args     []string // of this process
	takeover []string // with which a program prints its Takeover
	from     string   // the program that is meant if none is named

	active atomic.Bool // an upgrade is under way
}

// Upgrade replaces the supervisor by another program, which answers caller if that is
// not nil. It returns only with an error: then nothing has changed.
func (s *Supervisor) Upgrade(ctx context.Context, path string, caller *control.Caller) error {
	return s.upgrader.upgrade(ctx, path, caller)
}

// UpgradeAndLog is Upgrade by the program that stands where this one was started from,
// when no caller waits for the answer.
func (s *Supervisor) UpgradeAndLog(ctx context.Context) {
	_ = s.Upgrade(ctx, s.upgrader.from, nil) // it is in the log
}

func (u *upgrader) upgrade(ctx context.Context, path string, caller *control.Caller) error {
	s := u.super
	select {
	case <-s.life.serving: // before, what the last upgrade has left would be lost
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !u.active.CompareAndSwap(false, true) {
		return errUpgrading
	}
	defer u.active.Store(false)
	if err := s.refusePaused(); err != nil {
		return err
	}
	s.reloader.lock() // waits for a reload that runs
	defer s.reloader.mu.Unlock()
	if caller != nil && !caller.Owner {
		if !sameFile(path, u.from) {
			return refusal(path, "only the user that runs the supervisor may name another program than "+u.from)
		}
		path = u.from // the other name may lead elsewhere by now
	}
	next, err := u.findSuccessor(ctx, path)
	if err != nil {
		s.log.Warn("upgrade refused", "error", err)
		return err
	}
	defer next.file.Close()
	s.log.Info("upgrade", "program", path, "from", s.version, "to", next.Version)
	defer s.announcer.reloading()()
	err = u.handOver(ctx, next, caller)
	s.log.Error("upgrade failed", "program", path, "error", err)
	return refusal(path, reasonOf(err))
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// handOver quiesces the supervisor and replaces the program. When that fails everything
// is as it was.
func (u *upgrader) handOver(ctx context.Context, next *successor, caller *control.Caller) error {
	q := &quiescing{super: u.super, deadline: time.Now().Add(longestGrace(u.super.sites.all()))}
	if caller != nil {
		q.own = 1
	}
	defer q.undo()
	if err := q.reach(ctx); err != nil {
		return err
	}
	var conn syscall.Conn
	if caller != nil {
		var err error
		if conn, err = caller.Take(); err != nil {
			return err
		}
	}
	return u.exec(next, conn, q.paused)
}

// exec packs everything and replaces the program. While it runs no process is started or
// reaped.
func (u *upgrader) exec(next *successor, caller syscall.Conn, paused time.Time) error {
	s := u.super
	for _, t := range s.sites.all() {
		t.access.Flush()
	}
	s.refusals.Flush()
	ctx, cancel := context.WithTimeout(context.Background(), journalTime)
	defer cancel()
	for _, t := range s.sites.all() {
		t.keepWarmup(ctx)
	}
	if err := s.journal.Flush(ctx); err != nil {
		s.log.Warn("journal not complete", "error", err)
	}
	defer process.HoldReaping()()
	b := &process.Baggage{}
	h, err := packer{b}.supervisor(s, caller)
	if err != nil {
		b.Close()
		return err
	}
	h.Paused = paused
	s.sites.mu.Lock() // if the supervisor is to end after the last question, Run gets no further
	defer s.sites.mu.Unlock()
	return b.Exec(next.path(), u.args, os.Environ(), h, s.life.ending)
}

// rollStale replaces workers that an earlier image has launched with outdated settings:
// sites.toml had changed when the upgrade read it.
func (u *upgrader) rollStale(ctx context.Context) {
	look := u.super.lookAtCode()
	eachSite(u.super.sites.all(), func(t *site) {
		if t.stale == "" {
			return
		}
		t.log.Info("new workers after the upgrade", "reason", t.stale)
		next, err := t.newGeneration(t.config(), look)
		if err == nil {
			err = t.roll(ctx, next, pool.ReasonReload, func() {})
		}
		if err != nil && ctx.Err() == nil {
			t.log.Error("no new workers after the upgrade; the old ones serve on", "error", err)
		}
	})
}
