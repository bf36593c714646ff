package process

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestStart_ReportsExit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, script, want string }{
		{"clean", "exit 0", "exit status 0"},
		{"status", "exit 7", "exit status 7"},
		{"signal", "kill -9 $$", "signal killed (9)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := startScript(t, test.script, nil)
			<-p.Done()
			if got := p.Exit().String(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestStart_GivesOnlyItsEnvironment(t *testing.T) {
	t.Parallel()
	lines := collect(t, `echo "[$SECRET] [$MINE] $(pwd)"`, Command{Env: []string{"MINE=1"}, Dir: "/"})
	if want := "[] [1] /"; len(lines) != 1 || lines[0] != want {
		t.Errorf("got %q, want %q", lines, want)
	}
}

func TestOutput_AllLinesArriveBeforeDone(t *testing.T) {
	t.Parallel()
	lines := collect(t, `i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done; echo last >&2; printf unfinished`, Command{})
	if len(lines) != 502 {
		t.Fatalf("got %d lines, want 502", len(lines))
	}
	if got := strings.Join(lines[499:], "|"); got != "line 499|last|unfinished" {
		t.Errorf("got %q", got)
	}
}

func TestOutput_TailKeepsTheLastLines(t *testing.T) {
	t.Parallel()
	p := startScript(t, `i=0; while [ $i -lt 100 ]; do echo $i; i=$((i+1)); done`, func(string) {})
	<-p.Done()
	tail := p.Tail()
	if len(tail) != tailLines || tail[0] != "40" || tail[tailLines-1] != "99" {
		t.Errorf("got %d lines %q", len(tail), tail)
	}
}

func TestOutput_CutsEndlessLine(t *testing.T) {
	t.Parallel()
	lines := collect(t, `head -c 200000 /dev/zero | tr '\0' x`, Command{})
	total := 0
	for _, l := range lines {
		if len(l) > maxLine+4096 {
			t.Errorf("got a line of %d bytes", len(l))
		}
		total += len(l)
	}
	if total != 200000 {
		t.Errorf("got %d bytes, want 200000", total)
	}
}

func TestStop_KillsWhatIgnoresSIGTERM(t *testing.T) {
	t.Parallel()
	ready := make(chan string, 1)
	p := startScript(t, `trap '' TERM; echo ready; while :; do sleep 1; done`, func(l string) { ready <- l })
	<-ready
	p.Stop(20 * time.Millisecond)
	if got := p.Exit().Signal; got != syscall.SIGKILL || !p.Overran() {
		t.Errorf("got %v, overran %v, want SIGKILL since it overran its time", p.Exit(), p.Overran())
	}
	killed := startScript(t, `sleep 1000`, func(string) {})
	killed.Kill()
	if <-killed.Done(); killed.Overran() {
		t.Error("a process that was killed at once overran its time")
	}
}

func TestReap_KillsTheGroup(t *testing.T) {
	t.Parallel()
	child := make(chan string, 1)
	p := startScript(t, `sleep 1000 & echo $!; exit 3`, func(l string) { child <- l })
	<-p.Done()
	pid := <-child
	waitGone(t, pid)
	if p.Exit().Code != 3 {
		t.Errorf("got %v, want status 3", p.Exit())
	}
}

// The kernel kills a process when the one that started it is killed: nothing survives a
// supervisor that was killed with SIGKILL.
func TestStart_ChildrenDieWithTheParent(t *testing.T) {
	t.Parallel()
	if os.Getenv("PROCESS_TEST_PARENT") != "" {
		p := startScript(t, "echo up; exec sleep 1000", func(string) {})
		fmt.Println("child", p.PID())
		select {}
	}
	waitGone(t, killParent(t))
}

// killParent runs this test in another process, with PROCESS_TEST_PARENT, until that has
// printed the pid of its child, and kills it.
func killParent(t *testing.T) (child string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "PROCESS_TEST_PARENT=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanf(stdout, "child %s\n", &child); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	_ = cmd.Wait()
	return child
}

func TestReadMemory_OfThisProcess(t *testing.T) {
	t.Parallel()
	m, err := ReadMemory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if m.USS <= 0 || m.PSS < m.USS || m.RSS < m.PSS {
		t.Errorf("got %+v, want 0 < USS <= PSS <= RSS", m)
	}
}

func TestParseMemory(t *testing.T) {
	t.Parallel()
	got := parseMemory([]byte("55d0-7fff ---p 00000000 00:00 0   [rollup]\nRss:  100 kB\nPss:  60 kB\nPss_Anon: 5 kB\n" +
		"Anonymous: 40 kB\nPrivate_Clean:  10 kB\nPrivate_Dirty:  20 kB\nPrivate_Hugetlb: 0 kB\n"))
	if want := (Memory{PSS: 60 << 10, USS: 30 << 10, RSS: 100 << 10, Unshared: (60 - 5 + 40) << 10}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func startScript(t *testing.T, script string, line func(string)) *Process {
	t.Helper()
	return startCommand(t, script, line, Command{})
}

func startCommand(t *testing.T, script string, line func(string), c Command) *Process {
	t.Helper()
	if line != nil {
		out, err := NewOutput(nil, line)
		if err != nil {
			t.Fatal(err)
		}
		c.Output = out
	}
	c.Path, c.Args = "/bin/sh", []string{"sh", "-c", script}
	if c.Env == nil {
		c.Env = os.Environ()
	}
	p, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill(); <-p.Done() })
	return p
}

// collect runs script and returns the lines that it has written.
func collect(t *testing.T, script string, c Command) []string {
	t.Helper()
	var mu sync.Mutex
	var lines []string
	p := startCommand(t, script, func(l string) { mu.Lock(); lines = append(lines, l); mu.Unlock() }, c)
	<-p.Done()
	mu.Lock()
	defer mu.Unlock()
	return lines
}

// waitGone waits until a process that was sent SIGKILL is dead.
func waitGone(t *testing.T, pid string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for s := procState(pid); s != "" && s != "Z"; s = procState(pid) {
		if time.Now().After(deadline) {
			t.Fatalf("process %s is alive (state %s)", pid, s)
		}
	}
}

// procState returns the state letter of a process, "" if there is no such process.
func procState(pid string) string {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return after[:1]
}

func TestCrashed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script string
		stop, want   bool
	}{
		{"by itself", "exit 0", false, true},
		{"by a signal of another process", "kill -SEGV $$", false, true},
		{"when it was told to", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done", true, false},
		{"by our SIGTERM", "echo ready; exec sleep 1000", true, false},
		{"by our SIGKILL", "trap '' TERM; echo ready; while :; do sleep 0.01; done", true, false},
		{"by another signal when it was told to", "trap 'kill -SEGV $$' TERM; echo ready; while :; do sleep 0.01; done", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ready := make(chan string, 1)
			p := startScript(t, tt.script, func(line string) { ready <- line })
			if tt.stop {
				<-ready
				p.Stop(500 * time.Millisecond)
			}
			<-p.Done()
			if got := p.Crashed(); got != tt.want {
				t.Errorf("got %v after %v", got, p.Exit())
			}
			b := &Baggage{}
			left, err := p.HandOver(b)
			if err != nil {
				t.Fatal(err)
			}
			if next, err := b.Inherit(left, nil); err != nil || next.Crashed() != tt.want {
				t.Errorf("after an upgrade: got %+v, %v", next, err)
			}
		})
	}
}
