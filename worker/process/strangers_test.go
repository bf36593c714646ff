package process

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a child leaves behind comes to us, and may not stay for ever; what we
// started ourselves is left to whoever waits for it.
func TestStrangers_AreReaped(t *testing.T) {
	if err := BecomeSubreaper(); err != nil {
		t.Fatal(err)
	}
	parent := exec.Command("sh", "-c", `(echo $$; exec setsid sh -c 'echo $$') & `)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var stranger string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		stranger = lines.Text()
	}
	if err := parent.Wait(); err != nil {
		t.Fatal(err)
	}
	mine := exec.Command("true")
	if err := mine.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for zombie(stranger) == "" && time.Now().Before(deadline) {
		_ = unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
	}
	var s Strangers
	s.Reap()
	if zombie(stranger) == "" {
		t.Error("it was reaped at first sight: it may have been somebody's")
	}
	if err := mine.Wait(); err != nil {
		t.Errorf("our own: %v", err)
	}
	s.Reap()
	if b, err := os.ReadFile("/proc/" + stranger + "/stat"); err == nil {
		t.Errorf("it is still there: %s", strings.TrimSpace(string(b)))
	}
}
