package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/account"
)

// BecomeSubreaper makes this process the parent of every descendant whose own parent
// exits (PR_SET_CHILD_SUBREAPER), such as those that Adopt takes.
func BecomeSubreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become a subreaper: %w", err)
	}
	return nil
}

// Adopt takes charge of a child that another process has forked on our behalf and left
// to us, the subreaper. That process may run untrusted code, and whatever is done to the
// child later is done with our rights. So Adopt accepts only a child of ours that runs
// as the given account.
func Adopt(pid int, as *account.Account, output *Output) (*Process, error) {
	p := &Process{pid: pid, output: output}
	if err := p.adopt(as); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Process) adopt(as *account.Account) error {
	pidfd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return fmt.Errorf("adopt process %d: %w", p.pid, err)
	}
	if err := checkChild(p.pid, pidfd, as); err != nil {
		unix.Close(pidfd)
		return fmt.Errorf("adopt process %d: %w", p.pid, err)
	}
	return p.watch(pidfd)
}

// checkChild checks the user of the process first, and then that pidfd is a child of ours
// that nobody has waited for, which proves that the pid was not reused in between.
func checkChild(pid, pidfd int, as *account.Account) error {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return err
	}
	if as != nil && !strings.Contains(string(status), fmt.Sprintf("\nUid:\t%[1]d\t%[1]d\t%[1]d\t", as.UID)) {
		return errors.New("it is not a process of user " + as.Name)
	}
	for {
		err := unix.Waitid(unix.P_PIDFD, pidfd, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
