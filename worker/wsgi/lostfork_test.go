package wsgi

import (
	"context"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLostFork_IsKilled: a zygote that is killed in the middle of a double fork leaves
// no process. Here a hook in one of the two children kills it; the child goes on.
func TestLostFork_IsKilled(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]string{
		"the first child":  "depth[0] == 1: os.kill(os.getppid(), signal.SIGKILL)",
		"the second child": "depth[0] == 2: os.kill(int(os.environ['ZYGOTE']), signal.SIGKILL)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, `
import os, signal, time
os.environ["ZYGOTE"] = str(os.getpid())
depth = [0]
def in_child():
    depth[0] += 1
    if os.path.exists(os.environ["DIR"] + "/kill") and `+kill+`
    if depth[0] == 2 and os.path.exists(os.environ["DIR"] + "/kill"):
        time.sleep(1000)
os.register_at_fork(after_in_child=in_child)
`+helloApp)
			wantServing(t, s.launch(1))
			s.write("kill", "")
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // the second child may have been reported before it kills the zygote
			defer cancel()
			start := time.Now()
			if _, err := s.tryLaunch(ctx, 2); err == nil {
				t.Error("launched")
			}
			if took := time.Since(start); took > answerTime {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestLostFork_ChildrenWith(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := os.StartProcess("/bin/cat", []string{"cat"}, &os.ProcAttr{Files: []*os.File{r, w}})
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	other, err := os.StartProcess("/bin/cat", []string{"cat"}, &os.ProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	if got := childrenWith(kernelName(r)); len(got) != 1 || got[0] != p.Pid {
		t.Errorf("got %d, want %d", got, p.Pid)
	}
	killLostFork(kernelName(r))
	if err := unix.Kill(p.Pid, 0); err != unix.ESRCH {
		t.Errorf("process %d: %v, want it gone", p.Pid, err)
	}
	p.Release()
}
