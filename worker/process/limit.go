package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Limits bound what a process may use. The zero value leaves it as it was born.
type Limits struct {
	Memory   int64    // bytes; 0: no bound
	Cgroups  *Cgroups // where the kernel holds it to Memory; nil: RLIMIT_DATA
	Tasks    int      // processes and threads of its user, after which it can start no more; 0: no bound but this process's
	Priority int      // nice value, from -20, the first to run, to 19; 0: this process's
}

// Limit sets what the process may use, from now on. A process that has ended is
// no error. What can not be set does not keep the rest from being set.
//
// In a control group the kernel ends a process that takes more than Memory.
// Without one, RLIMIT_DATA refuses it more: Python raises MemoryError, which is
// one failed request, and lives on; a Go program ends. It counts what a process
// has asked for, also what it never touched, such as the stacks of its threads.
func (p *Process) Limit(l Limits) error {
	p.limiting.Lock()
	defer p.limiting.Unlock()
	return errors.Join(
		setLimit(p, fmt.Sprintf("cpu_priority %d", l.Priority), &p.limits.Priority, l.Priority, func() error { return p.setPriority(l.nice()) }),
		setLimit(p, "memory_limit_hard", &p.limits.Memory, l.Memory, func() error { return p.limitMemory(l) }),
		setLimit(p, "tasks_limit", &p.limits.Tasks, l.Tasks, func() error { return p.limitTasks(l.Tasks) }),
	)
}

// setLimit applies one limit where it is not what the process has already.
func setLimit[T comparable](p *Process, what string, has *T, want T, apply func() error) error {
	if *has == want {
		return nil
	}
	if err := apply(); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("set %s of process %d: %w", what, p.pid, err)
	}
	*has = want
	return nil
}

// nice is the priority to set.
func (l Limits) nice() int {
	if l.Priority != 0 {
		return l.Priority
	}
	return ownNice()
}

// ownNice is this process's own priority.
func ownNice() int {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, os.Getpid())
	if err != nil {
		return 0
	}
	return 20 - raw // as getpriority(2) says, so that no value is negative
}

// limitMemory: a process that has a group stays in it, also without a bound.
func (p *Process) limitMemory(l Limits) (err error) {
	if p.group == nil && l.Cgroups == nil {
		return p.limitData(l.Memory)
	}
	if p.group == nil {
		p.group, err = l.Cgroups.add(p.pid)
	}
	if err == nil {
		err = p.group.limit(l.Memory)
	}
	return err
}

// limitData leaves the hard limit alone, so that a higher one can be set later.
func (p *Process) limitData(bytes int64) error {
	var r unix.Rlimit
	err := unix.Prlimit(p.pid, unix.RLIMIT_DATA, nil, &r)
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: for another user's process it takes CAP_SYS_RESOURCE, or a control group that multisite may write", err)
	}
	if err != nil {
		return err
	}
	if r.Cur = r.Max; bytes > 0 {
		r.Cur = min(uint64(bytes), r.Max)
	}
	return unix.Prlimit(p.pid, unix.RLIMIT_DATA, &r, nil)
}

// limitTasks sets what Command.limited does.
func (p *Process) limitTasks(n int) error {
	var r unix.Rlimit // ours
	if err := unix.Prlimit(0, unix.RLIMIT_NPROC, nil, &r); err != nil {
		return err
	}
	switch {
	case n > 0 && os.Geteuid() == 0:
		r.Cur, r.Max = uint64(n), uint64(n)
	case n > 0:
		r.Cur = min(uint64(n), r.Max)
	}
	err := unix.Prlimit(p.pid, unix.RLIMIT_NPROC, &r, nil)
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("%w: for another user's process it takes CAP_SYS_RESOURCE", err)
	}
	return err
}

// Forked says that the process was forked from another one, whose limits it has that
// children inherit. It is called before any Limit.
func (p *Process) Forked(from *Process) {
	p.limits.Tasks = from.limitState().Tasks
}

// setPriority sets that of every thread: Linux has one for each, and a new one
// takes its parent's.
func (p *Process) setPriority(nice int) error {
	seen := map[int]bool{}
	for before := -1; before < len(seen); {
		before = len(seen)
		tasks, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(p.pid), "task"))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, task := range tasks {
			id, err := strconv.Atoi(task.Name())
			if err != nil || seen[id] {
				continue
			}
			err = unix.Setpriority(unix.PRIO_PROCESS, id, nice)
			if errors.Is(err, unix.EACCES) {
				return fmt.Errorf("%w: only root can go below what a process has (multisite itself: %d)", err, ownNice())
			}
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
			seen[id] = true
		}
	}
	return nil
}

// OOM tells of an ended process whether it ended for want of memory: killed by the
// kernel in its control group, or because it was refused more, as far as it said so.
func (p *Process) OOM() bool {
	return p.oom || p.exit.Code == goFatal && p.output != nil && p.output.sawOutOfMemory()
}

// lastWords is how long before its end a process may have said what it ends of.
const lastWords = 2 * time.Second

// starved tells of a process that ended at a time whether it was refused memory by
// RLIMIT_DATA, and ended of that. Python lives on after many a MemoryError.
func (p *Process) starved(died time.Time) bool {
	if !p.refused() || !p.Crashed() || !p.output.starvedSince(died.Add(-lastWords)) {
		return false
	}
	switch p.exit.Signal {
	case 0, unix.SIGABRT, unix.SIGSEGV, unix.SIGBUS:
		return true
	}
	return false
}

// refused tells whether the process can be refused memory by a limit of ours.
func (p *Process) refused() bool {
	p.limiting.Lock()
	defer p.limiting.Unlock()
	return p.limits.Memory > 0 && p.group == nil
}

// goFatal is the status with which a Go program ends after a fatal error.
const goFatal = 2
