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

// Limits bound what a process may use. The zero value leaves everything as it was at the
// start of the process.
type Limits struct {
	Memory   int64    // in bytes; 0: no bound
	Cgroups  *Cgroups // where Memory is enforced by a control group; nil: by RLIMIT_DATA
	Tasks    int      // most processes and threads that its user may have; 0: the bound of this process
	Priority int      // nice value from -20, which runs first, to 19; 0: that of this process
}

// Limit sets what the process may use from now on. It is no error if the process has
// exited. A limit that cannot be set does not prevent the others from being set.
//
// In a control group the kernel kills a process that takes more than Memory. Without one,
// RLIMIT_DATA refuses it more: Python raises MemoryError, which fails one request, and
// goes on; a Go program exits. RLIMIT_DATA counts all that the process has allocated,
// even what it never touched, such as the stacks of its threads.
func (p *Process) Limit(l Limits) error {
	p.limiting.Lock()
	defer p.limiting.Unlock()
	return errors.Join(
		setLimit(p, fmt.Sprintf("cpu_priority %d", l.Priority), &p.limits.Priority, l.Priority, func() error { return p.setPriority(l.nice()) }),
		setLimit(p, "memory_limit_hard", &p.limits.Memory, l.Memory, func() error { return p.limitMemory(l) }),
		setLimit(p, "tasks_limit", &p.limits.Tasks, l.Tasks, func() error { return p.limitTasks(l.Tasks) }),
	)
}

// setLimit applies one limit unless the process has it already.
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

// nice returns the priority to set.
func (l Limits) nice() int {
	if l.Priority != 0 {
		return l.Priority
	}
	return ownNice()
}

// ownNice returns the priority of this process.
func ownNice() int {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, os.Getpid())
	if err != nil {
		return 0
	}
	return 20 - raw // the system call returns 20-nice, so that no result is negative: getpriority(2)
}

// limitMemory sets Memory. A process that has a control group stays in it, even without a
// bound.
func (p *Process) limitMemory(l Limits) (err error) {
	if p.cgroup == nil && l.Cgroups == nil {
		return p.limitData(l.Memory)
	}
	if p.cgroup == nil {
		p.cgroup, err = l.Cgroups.add(p.pid)
	}
	if err == nil {
		err = p.cgroup.limit(l.Memory)
	}
	return err
}

// limitData does not change the hard limit, so that a higher one can be set later.
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

// limitTasks sets the same limit as Command.limited does.
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

// Forked says that the process was forked from another one, so that it has inherited the
// limits that children inherit. It is called before Limit.
func (p *Process) Forked(from *Process) {
	p.limits.Tasks = from.limitState().Tasks
}

// setPriority sets the priority of every thread: on Linux each has its own, and a new
// thread inherits that of the thread that creates it.
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

// OOM reports, after Done, whether the process exited for lack of memory: the kernel killed
// it in its control group, or it was refused memory and its output says so.
func (p *Process) OOM() bool {
	return p.oom || p.exit.Code == goFatal && p.output != nil && p.output.sawOutOfMemory()
}

// lastWords is how long before its exit a process may have written why it exits.
const lastWords = 2 * time.Second

// starved reports whether a process that died at the given time was refused memory by
// RLIMIT_DATA and exited because of that. Python survives most of its MemoryErrors.
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

// refused reports whether a limit of ours can refuse the process memory.
func (p *Process) refused() bool {
	p.limiting.Lock()
	defer p.limiting.Unlock()
	return p.limits.Memory > 0 && p.cgroup == nil
}

// goFatal is the exit status of a Go program after a fatal error.
const goFatal = 2
