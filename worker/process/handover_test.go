package process

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The main goroutine is locked to the main thread, as in a program that calls ServeMain.
func init() { runtime.LockOSThread() }

// TestExec_ChildrenOutliveTheirImage: one process replaces itself three times. Its child,
// and an orphan that became its child, live on. When it is killed they die.
func TestExec_ChildrenOutliveTheirImage(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/bin/sh", "-c", `ulimit -S -n 500 && exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), "PROCESS_TEST_DO=replace")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	said := map[string]string{}
	for lines.Scan() && lines.Text() != "done" {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		said[name] = value
	}
	for name, want := range map[string]string{
		"image": "3", "orphan": "lives", "line": "a line in two parts", "short": "exit status 7", "failed": "true", "vetoed": "stay", "child's": "500",
	} {
		if said[name] != want {
			t.Errorf("%s: got %q, want %q", name, said[name], want)
		}
	}
	if said["files"] == "500" || said["files then"] != said["files"] || said["child's then"] != "500" {
		t.Errorf("limits of files: %s, after a replacement that failed %s, of a child %s", said["files"], said["files then"], said["child's then"])
	}
	before, _ := strconv.Atoi(said["before"])
	after, err := strconv.Atoi(said["after"])
	if err != nil || after > before { // the process that exits early may have been reaped
		t.Errorf("descriptors: %d at first, %d after three replacements", before, after)
	}
	if said["pid"] != strconv.Itoa(cmd.Process.Pid) {
		t.Errorf("it is process %s now, was %d", said["pid"], cmd.Process.Pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"child", "grandchild"} {
		waitGone(t, said[name])
	}
}

// journey is what the images of the test's program hand over to each other.
type journey struct {
	Image             int
	Child, Short      Handover
	Grandchild        int
	DescriptorsBefore int
}

// replaceMyself is that program. It prints what it has found and waits to be killed.
func replaceMyself() {
	ServeMain(func() {
		if err := replace(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	})
}

func replace() error {
	var j journey
	b, left, err := Unpack(&j)
	if err != nil {
		return err
	}
	if !left {
		return begin()
	}
	defer b.Close()
	line := make(chan string, 10)
	child, err := b.Inherit(j.Child, func(s string) { line <- s })
	if err != nil {
		return err
	}
	short, err := b.Inherit(j.Short, func(string) {})
	if err != nil {
		return err
	}
	b.Close()
	<-short.Done()
	if j.Image++; j.Image < 3 {
		_ = new(Baggage).Exec("/does/not/exist", os.Args, os.Environ(), j, allowed) // it fails and changes nothing
		return goOn(j, child, short)
	}
	_ = child.Signal(syscall.SIGUSR1) // it lives
	fmt.Println("image:", j.Image)
	fmt.Println("pid:", os.Getpid())
	fmt.Println("child:", child.PID())
	fmt.Println("grandchild:", j.Grandchild)
	fmt.Println("line:", <-line)
	fmt.Println("short:", short.Exit())
	fmt.Println("before:", j.DescriptorsBefore)
	fmt.Println("after:", len(ofDescriptors()))
	if parentIs(j.Grandchild, os.Getpid()) {
		fmt.Println("orphan: lives")
	}
	fmt.Println("files:", files(os.Getpid()))
	fmt.Println("child's:", childsFiles())
	failed := new(Baggage).Exec("/does/not/exist", os.Args, os.Environ(), j, allowed)
	fmt.Println("failed:", failed != nil && strings.Contains(failed.Error(), "no such file"))
	fmt.Println("files then:", files(os.Getpid()))
	fmt.Println("child's then:", childsFiles())
	fmt.Println("vetoed:", new(Baggage).Exec("/proc/self/exe", os.Args, os.Environ(), j, func() error { return errors.New("stay") }))
	fmt.Println("done")
	<-time.After(time.Minute) // it is killed before
	return nil
}

// begin starts the processes that are handed over.
func begin() error {
	if err := BecomeSubreaper(); err != nil {
		return err
	}
	said := make(chan string, 1)
	out, err := NewOutput(nil, func(s string) { said <- s })
	if err != nil {
		return err
	}
	// It forks a process that prints its pid and becomes our child when this one exits.
	parent, err := Start(Command{Path: "/bin/sh", Args: []string{"sh", "-c", `setsid "$0" & wait`, os.Args[0]},
		Env: []string{"PROCESS_TEST_DO=orphan", "PROCESS_TEST_PARENT=" + strconv.Itoa(os.Getpid()), "PATH=" + os.Getenv("PATH")}, Output: out})
	if err != nil {
		return err
	}
	j := journey{}
	if j.Grandchild, err = strconv.Atoi(<-said); err != nil {
		return err
	}
	parent.Stop(time.Second)
	<-said // it has set PDEATHSIG

	begun := make(chan string, 1)
	if out, err = NewOutput(nil, func(s string) { begun <- s }); err != nil {
		return err
	}
	child, err := Start(Command{Path: "/bin/sh", Args: []string{"sh", "-c",
		`trap 'echo two parts' USR1; echo begun; printf "a line in "; while :; do sleep 0.01; done`}, Output: out})
	if err != nil {
		return err
	}
	<-begun
	short, err := Start(Command{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 7"}})
	if err != nil {
		return err
	}
	j.DescriptorsBefore = len(ofDescriptors())
	return goOn(j, child, short)
}

// goOn replaces this image by the next one.
func goOn(j journey, child, short *Process) (err error) {
	defer HoldReaping()()
	b := &Baggage{}
	if j.Child, err = child.HandOver(b); err != nil {
		return err
	}
	if j.Short, err = short.HandOver(b); err != nil {
		return err
	}
	return b.Exec("/proc/self/exe", os.Args, os.Environ(), j, allowed)
}

// beOrphan sets PDEATHSIG for its new parent, as a worker that a zygote has forked does.
func beOrphan() {
	fmt.Println(os.Getpid())
	parent := os.Getenv("PROCESS_TEST_PARENT")
	for fmt.Sprint(os.Getppid()) != parent {
		runtime.Gosched()
	}
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
	fmt.Println("bound")
	<-time.After(time.Minute)
}

func allowed() error { return nil }

// files returns how many files a process may have open.
func files(pid int) uint64 {
	var l unix.Rlimit
	_ = unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &l) // 0 after an error
	return l.Cur
}

func childsFiles() uint64 {
	p, err := Start(Command{Path: "/bin/sleep", Args: []string{"sleep", "60"}})
	if err != nil {
		return 0
	}
	defer p.Stop(0)
	return files(p.PID())
}

func parentIs(pid, parent int) bool {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return strings.Contains(string(b), fmt.Sprintf("\nPPid:\t%d\n", parent))
}

func ofDescriptors() []os.DirEntry {
	entries, _ := os.ReadDir("/proc/self/fd")
	return entries
}
