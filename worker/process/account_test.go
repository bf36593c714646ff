package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multisite/multisite/worker/account"
)

// stranger is a user that owns nothing.
var stranger = &account.Account{Name: "stranger", UID: 4711, GID: 4712, Groups: []int{4713, 4714}}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root: no process is started as another user here")
	}
}

func TestStart_AsAnotherUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	umask := 0o27
	lines := collect(t, `id -u; id -g; id -G; umask; kill -0 $PPID 2>/dev/null || echo powerless`,
		Command{Account: stranger, Umask: &umask})
	if got, want := strings.Join(lines, "|"), "4711|4712|4712 4713 4714|0027|powerless"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if lines := collect(t, `umask`, Command{}); len(lines) != 1 || lines[0] == "0027" {
		t.Errorf("another process began with umask %q", lines)
	}
}

func TestStart_SaysWhichDirectoryIsClosed(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := t.TempDir() // its parent directory is open only to its owner
	_, err := Start(Command{Path: "/bin/true", Args: []string{"true"}, Dir: dir, Account: stranger})
	if want := `start /bin/true: user "stranger" may not enter ` + filepath.Dir(dir); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestStart_OfAnotherUserDiesWithTheParent: a change of user clears PDEATHSIG, which must
// be set after it.
func TestStart_OfAnotherUserDiesWithTheParent(t *testing.T) {
	t.Parallel()
	needRoot(t)
	if os.Getenv("PROCESS_TEST_PARENT") != "" {
		p := startCommand(t, "echo up; exec sleep 1000", func(string) {}, Command{Account: stranger})
		fmt.Println("child", p.PID())
		select {}
	}
	waitGone(t, killParent(t))
}

// TestAdopt_TakesOnlyItsOwn: the pid may come from untrusted code.
func TestAdopt_TakesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	child := exec.Command("cat")
	stdin, err := child.StdinPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		pid  int
		as   *account.Account
	}{
		{"our parent", os.Getppid(), nil},
		{"ourselves", os.Getpid(), nil},
		{"a child of another user", child.Process.Pid, &account.Account{Name: "stranger", UID: os.Geteuid() + 1}},
	} {
		if p, err := Adopt(tt.pid, tt.as, nil); err == nil {
			t.Errorf("%s was adopted: %d", tt.name, p.PID())
		}
	}
	stdin.Close()
	if err := child.Wait(); err != nil {
		t.Errorf("the child: %v", err)
	}
}

// TestStart_WithALimitOfTasks: the limit holds from the first instruction of the program,
// which still gets its own arguments.
func TestStart_WithALimitOfTasks(t *testing.T) {
	t.Parallel()
	needRoot(t)
	many := &account.Account{Name: "many", UID: 4921, GID: 4922}
	lines := collect(t, `id -u; grep processes /proc/self/limits | tr -s " "; echo $#`, Command{Account: many, Tasks: 50})
	if got, want := strings.Join(lines, "|"), "4921|Max processes 50 50 processes |0"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	lines = collect(t, `for i in $(seq 100); do sleep 1000 & done; echo not refused`, Command{Account: many, Tasks: 50})
	if strings.Contains(strings.Join(lines, "|"), "|not refused") {
		t.Errorf("it started 100 processes: %q", lines)
	}
}

// TestLimit_MemoryOfAnotherUsersProcess: the limit is set, or the error says what that
// takes. Root in a container often lacks CAP_SYS_RESOURCE.
func TestLimit_MemoryOfAnotherUsersProcess(t *testing.T) {
	t.Parallel()
	needRoot(t)
	p := startCommand(t, "exec sleep 1000", func(string) {}, Command{Account: stranger})
	if err := p.Limit(Limits{Memory: 512 * mb}); err != nil && !strings.Contains(err.Error(), "it takes CAP_SYS_RESOURCE") {
		t.Error(err)
	}
}
