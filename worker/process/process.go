// Package process owns one operating system process from start to reap: how it
// is started, told to stop, waited for, and how much memory it holds.
//
// Every process leads its own process group, gets the environment it is given
// and nothing else, and dies with the process that started it (PR_SET_PDEATHSIG).
// Its end is seen through a pidfd, so no thread blocks per process, and no
// stranger's exit status is ever taken. What is left of its group is killed.
package process

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/account"
)

// Command says what to start.
type Command struct {
	Path   string     // absolute path of the program
	Args   []string   // arguments, the program's name first
	Env    []string   // the whole environment
	Dir    string     // working directory
	Files  []*os.File // descriptors 3, 4, …
	Output *Output    // where its stdout and stderr go; nil: nowhere

	Account *account.Account // who it runs as; nil: as we do
	Umask   *int             // nil: ours
	Tasks   int              // see Limits
}

// Process is a running or ended child process.
type Process struct {
	pid    int
	pidfd  *os.File
	output *Output
	done   chan struct{}
	exit   Exit // valid once done is closed, as oom and companions are
	oom    bool // it ended for want of memory
	stop   sync.Once
	sent   atomic.Uint64 // the signals that it was sent, a bit for each

	companions []Leftover // that ended with it

	limiting sync.Mutex
	// limiting protects all below
	limits Limits
	group  *group // its control group; nil: none of its own
}

// Start starts the command. The caller keeps ownership of c.Files. After an
// error c.Output is closed.
func Start(c Command) (*Process, error) {
	p, err := start(c)
	if err != nil {
		if c.Output != nil {
			c.Output.Close()
		}
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	return p, nil
}

func start(c Command) (*Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	out := null
	if c.Output != nil {
		out = c.Output.w
	}
	pidfd := -1
	p, err := startProcess(c.limited(), &os.ProcAttr{
		Dir:   c.Dir,
		Env:   c.Env,
		Files: append([]*os.File{null, out, out}, c.Files...),
		Sys: &syscall.SysProcAttr{
			Setpgid: true, PidFD: &pidfd, Credential: c.Account.Credential(),
			Pdeathsig: syscall.SIGKILL, // set after the credential, which would clear it
		},
	})
	if err != nil {
		return nil, c.explain(err)
	}
	defer p.Release()
	if files := bornFiles.Load(); files != nil {
		_ = unix.Prlimit(p.Pid, unix.RLIMIT_NOFILE, files, nil) // or it has more than it needs
	}
	if c.Tasks == 0 { // else the process sets its own limit, at this moment
		leaveReserve(p.Pid)
	}
	child := &Process{pid: p.Pid, output: c.Output, limits: Limits{Tasks: c.Tasks}}
	if err := child.watch(pidfd); err != nil {
		return nil, err
	}
	return child, nil
}

// limited is the command with its limit of tasks, set before it runs: a hard one of
// another user's process is root's to change only with CAP_SYS_RESOURCE, and a Go
// program can not set one between fork and exec. Shells name it -u or -p.
func (c Command) limited() Command {
	if c.Tasks == 0 {
		return c
	}
	soft := "-S " // which nobody needs to be root to raise
	if os.Geteuid() == 0 {
		soft = ""
	}
	script := fmt.Sprintf(`ulimit %[1]s-u %[2]d 2>/dev/null || ulimit %[1]s-p %[2]d || exit 126; exec "$@"`, soft, c.Tasks)
	c.Args = append([]string{"sh", "-c", script, "sh", c.Path}, c.Args[min(1, len(c.Args)):]...)
	c.Path = "/bin/sh"
	return c
}

// explain finds out which file or directory is closed to another user: the error
// of a start does not tell.
func (c Command) explain(err error) error {
	if !errors.Is(err, os.ErrPermission) {
		return err
	}
	return cmp.Or(c.Account.May(account.Run, cmp.Or(c.Dir, "/")), c.Account.May(account.Run, c.Path), err)
}

// watch takes charge of the process.
func (p *Process) watch(pidfd int) error {
	if pidfd < 0 {
		_ = unix.Kill(p.pid, unix.SIGKILL) // unusable without a pidfd
		return fmt.Errorf("watch process %d: this kernel has no pidfd (Linux 5.10 or newer is needed)", p.pid)
	}
	unix.CloseOnExec(pidfd)
	_ = unix.SetNonblock(pidfd, true) // lets the runtime's poller wait for it
	p.pidfd, p.done = os.NewFile(uintptr(pidfd), "pidfd"), make(chan struct{})
	if p.output != nil {
		p.output.started()
	}
	go p.reap()
	return nil
}

// PID is the process id.
func (p *Process) PID() int { return p.pid }

// OS is the process itself, of a worker that embeds it.
func (p *Process) OS() *Process { return p }

// Done is closed when the process has ended, was reaped, and its output was read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit says how the process ended. It may be called after Done is closed.
func (p *Process) Exit() Exit { return p.exit }

// Crashed tells of an ended process whether it ended of itself: before it was asked
// to, or by a signal that it was not sent from here.
func (p *Process) Crashed() bool {
	sent := p.sent.Load()
	if p.exit.Signal != 0 {
		return sent&(1<<p.exit.Signal) == 0
	}
	return sent&(1<<syscall.SIGTERM|1<<syscall.SIGKILL) == 0
}

// Tail returns the last lines that the process wrote.
func (p *Process) Tail() []string {
	if p.output == nil {
		return nil
	}
	return p.output.Tail()
}

// Signal sends sig to the process alone. A process that has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	select {
	case <-p.done:
		return nil
	default:
		p.sent.Or(1 << sig)
	}
	err := p.control(func(fd int) error { return unix.PidfdSendSignal(fd, sig, nil, 0) })
	if errors.Is(err, os.ErrClosed) || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// Stop asks the process to end (SIGTERM), kills it and its group after grace
// (SIGKILL), and returns when it was reaped.
func (p *Process) Stop(grace time.Duration) {
	p.stop.Do(func() { _ = p.Signal(syscall.SIGTERM) }) // an error means it has ended
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return
	case <-timer.C:
	}
	p.Kill()
	<-p.done
}

// Kill ends the process and its group at once. It does not wait.
func (p *Process) Kill() { _ = p.Signal(syscall.SIGKILL) } // an error means it has ended

// reap waits for the end, kills what is left of the group, and takes the status.
// The group is killed before the status is taken, while the number is still ours.
func (p *Process) reap() {
	defer p.reapGroup()
	_ = p.waitUntilDead() // an error leaves wait4 below to wait
	reaping.RLock()
	defer reaping.RUnlock()
	defer close(p.done)
	p.companions = p.findCompanions()
	_ = unix.Kill(-p.pid, unix.SIGKILL)
	var ws unix.WaitStatus
	for {
		_, err := unix.Wait4(p.pid, &ws, 0, nil)
		if err == nil || !errors.Is(err, unix.EINTR) {
			p.exit = exitOf(ws, err)
			break
		}
	}
	died := time.Now()
	p.pidfd.Close()
	p.leaveGroup()
	if p.output != nil {
		p.output.finish()
		p.oom = p.oom || p.starved(died)
	}
}

// reapGroup takes the status of what was killed with the process and came to a
// subreaper, its new parent. Nobody else waits for that.
func (p *Process) reapGroup() {
	for {
		if _, err := unix.Wait4(-p.pid, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return // none is left, or none is ours
		}
	}
}

func (p *Process) leaveGroup() {
	p.limiting.Lock()
	defer p.limiting.Unlock()
	if p.group != nil {
		p.oom = p.group.end()
	}
}

func (p *Process) waitUntilDead() error {
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PIDFD, int(fd), &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		return err == nil && info.Signo != 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
}

func (p *Process) control(f func(fd int) error) error {
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	if err := raw.Control(func(fd uintptr) { callErr = f(int(fd)) }); err != nil {
		return err
	}
	return callErr
}
