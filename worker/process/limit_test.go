package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const mb = 1 << 20

func TestLimit_MemoryOfARunningProcess(t *testing.T) {
	t.Parallel()
	p := startScript(t, "exec sleep 1000", nil)
	for _, want := range []int64{512 * mb, 1024 * mb, 0} { // it may rise again, and be removed
		if err := p.Limit(Limits{Memory: want}); err != nil {
			t.Fatal(err)
		}
		var r unix.Rlimit
		if err := unix.Prlimit(p.PID(), unix.RLIMIT_DATA, nil, &r); err != nil {
			t.Fatal(err)
		}
		if want == 0 && r.Cur != r.Max || want > 0 && int64(r.Cur) != want {
			t.Errorf("got %d of %d, want %d", r.Cur, r.Max, want)
		}
	}
}

func TestLimit_TasksOfARunningProcess(t *testing.T) {
	t.Parallel()
	p := startScript(t, "exec sleep 1000", nil)
	var ours, r unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_NPROC, nil, &ours); err != nil {
		t.Fatal(err)
	}
	for _, want := range []uint64{200, 100, ours.Cur} {
		l := Limits{Tasks: int(want)}
		if want == ours.Cur {
			l.Tasks = 0
		}
		if err := p.Limit(l); err != nil && want == ours.Cur && strings.Contains(err.Error(), "it takes CAP_SYS_RESOURCE") {
			continue // we may not raise it again
		} else if err != nil {
			t.Fatal(err)
		}
		if err := unix.Prlimit(p.PID(), unix.RLIMIT_NPROC, nil, &r); err != nil || r.Cur != want {
			t.Errorf("got %d, %v, want %d", r.Cur, err, want)
		}
	}
}

func TestLimit_PriorityOfEveryThread(t *testing.T) {
	t.Parallel()
	pid, p := startGo(t, "wait")
	want := min(ownNice()+2, 19) // an ordinary user may set this too
	if err := p.Limit(Limits{Priority: want}); err != nil {
		t.Fatal(err)
	}
	tasks, err := os.ReadDir("/proc/" + pid + "/task")
	if err != nil || len(tasks) < 2 {
		t.Fatalf("got %d threads, %v, want a Go program", len(tasks), err)
	}
	for _, task := range tasks {
		if got := niceOf(t, pid, task.Name()); got != strconv.Itoa(want) {
			t.Errorf("thread %s has %s, want %d", task.Name(), got, want)
		}
	}
}

// TestLimit_WhatCannotBeSet: a limit that cannot be set does not prevent the others.
func TestLimit_WhatCannotBeSet(t *testing.T) {
	t.Parallel()
	p := startScript(t, "exec sleep 1000", nil)
	nowhere := &Cgroups{filepath.Join(t.TempDir(), "none")}
	if err := p.Limit(Limits{Memory: mb, Cgroups: nowhere, Tasks: 100}); err == nil {
		t.Error("got no error for a group that is not there")
	}
	var r unix.Rlimit
	if err := unix.Prlimit(p.PID(), unix.RLIMIT_NPROC, nil, &r); err != nil || r.Cur != 100 {
		t.Errorf("got %d tasks, %v, want 100", r.Cur, err)
	}
}

// TestLimit_PriorityIsRemoved runs itself with a priority other than 0, which a process
// without a priority of its own then has too.
func TestLimit_PriorityIsRemoved(t *testing.T) {
	if os.Getenv("PROCESS_TEST_NICE") == "" {
		cmd := exec.Command("nice", "-n", "2", os.Args[0], "-test.run=^TestLimit_PriorityIsRemoved$")
		cmd.Env = append(os.Environ(), "PROCESS_TEST_NICE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	p := startScript(t, "exec sleep 1000", nil)
	pid, own := strconv.Itoa(p.PID()), strconv.Itoa(os.Getpid())
	for _, want := range []string{"19", niceOf(t, own, own)} {
		l := Limits{}
		if want == "19" {
			l.Priority = 19
		}
		if err := p.Limit(l); err != nil {
			if os.Geteuid() != 0 {
				t.Skip("not root: ", err)
			}
			t.Fatal(err)
		}
		if got := niceOf(t, pid, pid); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestLimit_ZeroValueChangesNothing(t *testing.T) {
	t.Parallel()
	p := startScript(t, "exec nice -n 3 sleep 1000", nil)
	if err := p.Limit(Limits{}); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(p.PID())
	waitName(t, pid, "sleep")
	own := strconv.Itoa(os.Getpid())
	ours, _ := strconv.Atoi(niceOf(t, own, own)) // cannot fail
	if got, want := niceOf(t, pid, pid), strconv.Itoa(min(ours+3, 19)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLimit_OfAnExitedProcessIsNoError(t *testing.T) {
	t.Parallel()
	p := startScript(t, "exit 0", nil)
	<-p.Done()
	if err := p.Limit(Limits{Priority: 1, Memory: mb}); err != nil {
		t.Error(err)
	}
}

func TestLimit_NamesTheKeyThatFails(t *testing.T) {
	t.Parallel()
	p := startScript(t, "exec sleep 1000", nil)
	nowhere := &Cgroups{filepath.Join(t.TempDir(), "none")}
	if err := p.Limit(Limits{Memory: mb, Cgroups: nowhere}); err == nil || !strings.Contains(err.Error(), "set memory_limit_hard of process") {
		t.Errorf("got %v", err)
	}
}

func TestOOM_OfAGoProgram(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, do string
		limit    int64
		want     bool
	}{
		{"refused memory", "grow", 400 * mb, true},
		{"a status of its own", "exit", 4000 * mb, false},
		{"killed", "kill", 4000 * mb, false},
		{"a panic", "panic", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, p := startGo(t, tt.do)
			if err := p.Limit(Limits{Memory: tt.limit}); err != nil {
				t.Fatal(err)
			}
			_ = p.Signal(unix.SIGUSR1) // go on
			<-p.Done()
			if tail := strings.Join(p.Tail(), "\n"); strings.Contains(tail, "ThreadSanitizer") || strings.Contains(tail, "rflags") {
				t.Skip("under the race detector, which is C, it aborted first: no memory for a thread") // an abort prints registers
			}
			if got := p.OOM(); got != tt.want {
				t.Errorf("got %v after %v\n%s", got, p.Exit(), strings.Join(p.Tail(), "\n"))
			}
		})
	}
}

func TestReadCPUTime_OfThisProcess(t *testing.T) {
	t.Parallel()
	before, err := ReadCPUTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for sum := before; sum < before+2*clockTick; {
		if sum, err = ReadCPUTime(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := parseCPUTime([]byte("7 (a) b) R 1 7 7 0 -1 4194304 99 0 0 0 150 25 9 9 20 0 1 0 1 1 1"))
	if err != nil || got != 175*clockTick {
		t.Errorf("got %v, %v, want 1.75s", got, err)
	}
	if _, err := parseCPUTime([]byte("7 (a) R 1")); err == nil {
		t.Error("half a line is no error")
	}
	if _, err := ReadCPUTime(1 << 30); err == nil {
		t.Error("no process is no error")
	}
}

func TestReadRSS_IsAboutRight(t *testing.T) {
	t.Parallel()
	_, p := startGo(t, "wait")
	rss, err := ReadRSS(p.PID())
	if err != nil {
		t.Fatal(err)
	}
	if m, err := ReadMemory(p.PID()); err != nil || rss < m.RSS/2 || rss > 2*m.RSS {
		t.Errorf("got %d, want about %d, %v", rss, m.RSS, err)
	}
	if _, err := ReadRSS(1 << 30); err == nil {
		t.Error("no process is no error")
	}
}

// startGo starts this binary as a program that waits for SIGUSR1 and then does what do
// says; see TestMain.
func startGo(t *testing.T, do string) (pid string, p *Process) {
	t.Helper()
	ready := make(chan string, 1000)
	out, err := NewOutput(nil, func(line string) {
		select {
		case ready <- line:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err = Start(Command{Path: os.Args[0], Args: []string{"program"}, Env: []string{"PROCESS_TEST_DO=" + do}, Output: out})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill(); <-p.Done() })
	if line := <-ready; line != "ready" {
		t.Fatalf("got %q", line)
	}
	return strconv.Itoa(p.PID()), p
}

func niceOf(t *testing.T, pid, task string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/" + pid + "/task/" + task + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return strings.Fields(after)[16]
}

// waitName waits until a process executes the given program.
func waitName(t *testing.T, pid, want string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		b, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSpace(string(b))
		if name == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %s is %s, want %s", pid, name, want)
		}
	}
}

func TestOOM_OfAProcessThatWasRefusedMemory(t *testing.T) {
	t.Parallel()
	const python = "echo 'Traceback (most recent call last):'; echo MemoryError; "
	for _, tt := range []struct {
		name, script string
		limit        int64
		stop, want   bool
	}{
		{"and exited", python + "exit 1", 512 * mb, false, true},
		{"in one of its threads", python + "exit 0", 512 * mb, false, true},
		{"and aborted", "echo \"what():  std::bad_alloc\"; kill -ABRT $$", 512 * mb, false, true},
		{"and crashed", python + "kill -SEGV $$", 512 * mb, false, true},
		{"and was killed", python + "kill -KILL $$", 512 * mb, false, false},
		{"and was told to exit", python + "while :; do sleep 0.01; done", 512 * mb, true, false},
		{"but not by us", python + "exit 1", 0, false, false},
		{"which it did not write", "echo bye; exit 1", 512 * mb, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			said := make(chan string, 100)
			p := startScript(t, "trap go=1 USR1; echo ready; while [ -z \"$go\" ]; do sleep 0.01; done; "+tt.script, func(line string) { said <- line })
			<-said
			if err := p.Limit(Limits{Memory: tt.limit}); err != nil {
				t.Fatal(err)
			}
			_ = p.Signal(unix.SIGUSR1)
			if <-said; tt.stop {
				<-said
				p.Stop(time.Second)
			}
			<-p.Done()
			if got := p.OOM(); got != tt.want {
				t.Errorf("got %v after %v", got, p.Exit())
			}
			failed := LaunchError{Problem: "MemoryError", Process: p}
			if was, oom := failed.Exited(); !was || oom != (tt.want || tt.limit > 0) {
				t.Errorf("as it started: got %v, %v", was, oom)
			}
		})
	}
}
