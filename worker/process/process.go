// Package process owns one operating system process from its start until it is reaped: how
// it is started, told to exit, waited for, limited and measured, and how it is handed over
// to the next image of this program in an upgrade (Baggage).
//
// Every process leads its own process group, gets exactly the environment that it is
// given, and dies with the process that started it (PR_SET_PDEATHSIG). Its exit is seen
// through a pidfd, so that no thread blocks per process, and the exit status of no other
// process is taken by mistake. What is left in its process group is killed.
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

	Account *account.Account // who it runs as; nil: our user
	Umask   *int             // nil: ours
	Tasks   int              // see Limits
}

// Process is a child process that runs or has exited.
type Process struct {
	// Set before the goroutine that reaps the process starts.
	pid    int
	pidfd  *os.File // is closed when the process was reaped
	output *Output  // may be nil

	stop sync.Once     // for the SIGTERM of Stop
	sent atomic.Uint64 // the signals that it was sent, one bit for each
	late atomic.Bool   // it was killed by Stop

	// Set by the goroutine that reaps the process before it closes done; others read them
	// only after that.
	done      chan struct{}
	exit      Exit
	oom       bool // it exited for lack of memory
	leftovers []Leftover

	limiting sync.Mutex
	// limiting protects all below
	limits Limits  // that were set
	cgroup *cgroup // its control group; nil: none of its own
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
	if files := initialFileLimit.Load(); files != nil {
		_ = unix.Prlimit(p.Pid, unix.RLIMIT_NOFILE, files, nil) // if it fails, the process has more than it needs
	}
	if c.Tasks == 0 { // otherwise the process sets its own limit at this moment
		leaveReserve(p.Pid)
	}
	child := &Process{pid: p.Pid, output: c.Output, limits: Limits{Tasks: c.Tasks}}
	if err := child.watch(pidfd); err != nil {
		return nil, err
	}
	return child, nil
}

// limited returns the command with its limit of tasks, which a shell sets before it
// executes the program. A Go program cannot set a limit between fork and exec, and later
// root needs CAP_SYS_RESOURCE to change a hard limit of another user's process. The option
// of ulimit is -u in some shells and -p in others.
func (c Command) limited() Command {
	if c.Tasks == 0 {
		return c
	}
	soft := "-S " // a soft limit, which every user may raise
	if os.Geteuid() == 0 {
		soft = ""
	}
	script := fmt.Sprintf(`ulimit %[1]s-u %[2]d 2>/dev/null || ulimit %[1]s-p %[2]d || exit 126; exec "$@"`, soft, c.Tasks)
	c.Args = append([]string{"sh", "-c", script, "sh", c.Path}, c.Args[min(1, len(c.Args)):]...)
	c.Path = "/bin/sh"
	return c
}

// explain finds out which file or directory the user of the command may not access, which
// the error of a start does not say.
func (c Command) explain(err error) error {
	if !errors.Is(err, os.ErrPermission) {
		return err
	}
	return cmp.Or(c.Account.May(account.Run, cmp.Or(c.Dir, "/")), c.Account.May(account.Run, c.Path), err)
}

// watch starts the goroutine that reaps the process.
func (p *Process) watch(pidfd int) error {
	if pidfd < 0 {
		_ = unix.Kill(p.pid, unix.SIGKILL) // it cannot be waited for without a pidfd
		return fmt.Errorf("watch process %d: this kernel has no pidfd (Linux 5.10 or newer is needed)", p.pid)
	}
	unix.CloseOnExec(pidfd)
	_ = unix.SetNonblock(pidfd, true) // so that the Go runtime's poller waits for it
	p.pidfd, p.done = os.NewFile(uintptr(pidfd), "pidfd"), make(chan struct{})
	if p.output != nil {
		p.output.started()
	}
	go p.reap()
	return nil
}

// PID returns the process id.
func (p *Process) PID() int { return p.pid }

// OS returns the process itself; it is for workers that embed it.
func (p *Process) OS() *Process { return p }

// Done is closed when the process has exited, was reaped, and its output was read.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit returns how the process exited. It may be called after Done is closed.
func (p *Process) Exit() Exit { return p.exit }

// Crashed reports, after Done, whether the process exited by itself: before it was sent
// SIGTERM or SIGKILL, or by a signal that was not sent from here.
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

// Signal sends sig only to the process, not to its group. It is no error if the process
// has exited.
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

// Stop tells the process to exit (SIGTERM), kills it and its process group after grace
// (SIGKILL), and returns when it was reaped.
func (p *Process) Stop(grace time.Duration) {
	p.stop.Do(func() { _ = p.Signal(syscall.SIGTERM) }) // an error means that it has exited
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return
	case <-timer.C:
	}
	p.late.Store(true)
	p.Kill()
	<-p.done
}

// Overran reports, after Done, whether the process was killed because it had not exited in
// the time that Stop gave it.
func (p *Process) Overran() bool { return p.late.Load() && p.exit.Signal == syscall.SIGKILL }

// Kill kills the process and its process group and does not wait.
func (p *Process) Kill() { _ = p.Signal(syscall.SIGKILL) } // an error means that it has exited

// reap waits for the exit, kills what is left in the process group, and takes the exit
// status. The group is killed first, while its number cannot have been reused.
func (p *Process) reap() {
	defer p.reapGroup()
	_ = p.waitUntilDead() // after an error wait4 below waits
	reaping.RLock()
	defer reaping.RUnlock()
	defer close(p.done)
	p.leftovers = p.findLeftovers()
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
	p.removeCgroup()
	if p.output != nil {
		p.output.finish()
		p.oom = p.oom || p.starved(died)
	}
}

// reapGroup reaps the leftovers, which became our children if this is a subreaper.
func (p *Process) reapGroup() {
	for {
		if _, err := unix.Wait4(-p.pid, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return // there are none any more
		}
	}
}

func (p *Process) removeCgroup() {
	p.limiting.Lock()
	defer p.limiting.Unlock()
	if p.cgroup != nil {
		p.oom = p.cgroup.remove()
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

// control calls f with the pidfd.
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
