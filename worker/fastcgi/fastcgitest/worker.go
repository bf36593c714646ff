// Package fastcgitest starts the Python worker's own server for the tests of its clients,
// so that they read real answers.
package fastcgitest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/multisite/multisite/worker/wire"
)

// Worker is a Python process with one thread.
type Worker struct {
	Socket string // path of its socket
	done   sync.WaitGroup
	cmd    *exec.Cmd
}

// Start starts a worker that answers each URI with what does returns, which is called when
// the worker has begun the request; nil makes the worker die. The worker ends with the test.
func Start(tb testing.TB, does func(uri string) *wire.Answer) *Worker {
	tb.Helper()
	w := &Worker{Socket: filepath.Join(tb.TempDir(), "w.sock")}
	listener, err := net.Listen("unix", w.Socket)
	if err != nil {
		tb.Fatal(err)
	}
	defer listener.Close()
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	listening, err := listener.(*net.UnixListener).File()
	if err != nil {
		tb.Fatal(err)
	}
	begun, begin := pipe(tb)
	answers, answer := pipe(tb)
	_, here, _, _ := runtime.Caller(0)
	here = filepath.Dir(here)
	w.cmd = exec.Command("python3", filepath.Join(here, "worker.py"), filepath.Join(here, "..", "..", "wsgi", "python"))
	w.cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	w.cmd.ExtraFiles = []*os.File{listening, begin, answers}
	var stderr bytes.Buffer
	w.cmd.Stderr = &stderr
	err = w.cmd.Start()
	for _, f := range w.cmd.ExtraFiles {
		f.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	w.done.Go(func() {
		answerAll(begun, answer, does)
		_ = w.cmd.Wait() // it was killed, or exited because of an answer
	})
	tb.Cleanup(func() {
		w.Kill()
		if tb.Failed() && stderr.Len() > 0 {
			tb.Logf("stderr of the worker: %s", &stderr)
		}
	})
	return w
}

// Kill ends the worker and waits for its end.
func (w *Worker) Kill() {
	_ = w.cmd.Process.Kill() // it may have ended
	w.done.Wait()
}

func pipe(tb testing.TB) (r, w *os.File) {
	tb.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	return r, w
}

// answerAll answers until the worker has exited.
func answerAll(begun, answer *os.File, does func(uri string) *wire.Answer) {
	defer begun.Close()
	defer answer.Close()
	for r := bufio.NewReader(begun); ; {
		uri, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line, _ := json.Marshal(does(strings.TrimSuffix(uri, "\n"))) // of strings and numbers
		_, _ = answer.Write(append(line, '\n'))                      // it may be dead
	}
}
