package process

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// offspring starts a script and returns the n pids that it prints.
func offspring(t *testing.T, mark, script string, n int) (pids []string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = append(os.Environ(), mark)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it should have been killed
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(out); len(pids) < n && lines.Scan(); {
		pids = append(pids, lines.Text())
	}
	if len(pids) != n {
		t.Fatalf("got %q, want %d numbers", pids, n)
	}
	return pids
}

// TestKillMarked_FindsThemWhereverTheyAre: processes with the mark are found in other
// sessions, too, and none with another mark is.
func TestKillMarked_FindsThemWhereverTheyAre(t *testing.T) {
	t.Parallel()
	mark := fmt.Sprintf("PROCESS_TEST_MARK=%d", os.Getpid())
	const family = `echo $$; sleep 1000 & echo $!; setsid sh -c 'echo $$; sleep 1000 & echo $!; wait' & wait`
	left := offspring(t, mark, family, 4)
	others := append(offspring(t, mark+"0", "echo $$; exec sleep 1000", 1), offspring(t, "X"+mark, "echo $$; exec sleep 1000", 1)...)
	ended, err := KillMarked(mark, 10*time.Second)
	if ended != len(left) || err != nil {
		t.Errorf("killed %d (%v), want %d", ended, err, len(left))
	}
	for _, pid := range left {
		waitGone(t, pid)
	}
	for _, pid := range others {
		if s := procState(pid); s == "" || s == "Z" {
			t.Errorf("process %s, which has another mark, is gone", pid)
		}
	}
	if ended, err := KillMarked(mark, 0); ended != 0 || err != nil {
		t.Errorf("then killed %d (%v), want none", ended, err)
	}
}

// TestKillMarked_SparesItsCaller: and the ancestors of that.
func TestKillMarked_SparesItsCaller(t *testing.T) {
	t.Parallel()
	const name = "PROCESS_TEST_MARKED="
	if value := os.Getenv("PROCESS_TEST_MARKED"); value != "" {
		if ended, err := KillMarked(name+value, 10*time.Second); ended != 1 || err != nil {
			t.Errorf("killed %d (%v), want 1", ended, err)
		}
		return
	}
	cmd := exec.Command("sh", "-c", `sleep 1000 & "$0" -test.run='^TestKillMarked_SparesItsCaller$' && echo all is well`, os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprint(name, os.Getpid()))
	if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "all is well\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestKillMarked_OfAnotherUser: even if root may not read the environment of other users'
// processes.
func TestKillMarked_OfAnotherUser(t *testing.T) {
	t.Parallel()
	needRoot(t)
	mark := fmt.Sprintf("PROCESS_TEST_STRANGER=%d", os.Getpid())
	if os.Getenv("PROCESS_TEST_CALLER") != "" {
		if ended, err := KillMarked(os.Getenv("PROCESS_TEST_CALLER"), 10*time.Second); ended != 1 || err != nil {
			t.Errorf("killed %d (%v), want 1", ended, err)
		}
		return
	}
	left := offspring(t, mark, "exec setpriv --reuid=4711 --regid=4712 --clear-groups sh -c 'echo $$; exec sleep 1000'", 1)
	cmd := exec.Command("setpriv", "--bounding-set=-sys_ptrace,-perfmon,-sys_admin", os.Args[0], "-test.run=^TestKillMarked_OfAnotherUser$")
	cmd.Env = append(os.Environ(), "PROCESS_TEST_CALLER="+mark)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	waitGone(t, left[0])
}
