package wsgi

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/multisite/multisite/worker/process"
)

const (
	answerTime = 20 * time.Second // limit of a fork, if startup_timeout is not less; see zygote.ask
	exitTime   = 3 * time.Second  // limit of the application's exit handlers in a zygote
	exitGrace  = time.Second      // see limitReadsOnExit and awaitExit
)

// errZygoteGone means that a zygote cannot be asked any more.
var errZygoteGone = errors.New("the zygote has exited")

// zygote is a process that has loaded code and forks on command. It only ever
// waits for a command on its control socket, and exits when that closes.
type zygote struct {
	*process.Process

	mu sync.Mutex // held for one command and its answer

	// control is our end of the control socket. Between two commands nothing is
	// buffered in it. kill closes it.
	control *net.UnixConn
}

// ask sends a command with descriptors and reads the answer within limit. After an
// error the zygote has been killed, since command and answer may be out of step:
// it may be stuck in a lock that was held at its own fork.
func (z *zygote) ask(limit time.Duration, command, answer any, files ...*os.File) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	_ = z.control.SetDeadline(time.Now().Add(limit)) // cannot fail on a socket
	defer limitReadsOnExit(z.Process, z.control.SetReadDeadline)()
	err := send(z.control, command, files)
	if err == nil {
		err = receive(z.control, answer)
	}
	if err != nil {
		z.kill()
		return fmt.Errorf("%w: ask process %d: %w", errZygoteGone, z.PID(), err)
	}
	return nil
}

// limitReadsOnExit sets a read deadline once p exits, so that a process that p has
// started, and that keeps its end of the pipe or socket open, cannot hold up the
// reader. The caller must call stop when it has finished reading.
func limitReadsOnExit(p *process.Process, setDeadline func(time.Time) error) (stop func()) {
	stopped := make(chan struct{})
	go func() {
		select {
		case <-p.Done():
			_ = setDeadline(time.Now().Add(exitGrace)) // cannot fail on a pipe or socket
		case <-stopped:
		}
	}()
	return func() { close(stopped) }
}

// awaitExit waits for a process that has reported its failure and is about to exit.
func awaitExit(p *process.Process) {
	timer := time.NewTimer(exitGrace)
	defer timer.Stop()
	select {
	case <-p.Done():
	case <-timer.C:
	}
}

// alive reports whether the zygote can still be asked.
func (z *zygote) alive() bool {
	select {
	case <-z.Done():
		return false
	default:
		return true
	}
}

// exit makes the zygote run its exit handlers and exit, and waits until it has. Its
// workers must have exited before: a handler may remove what they use.
func (z *zygote) exit() {
	z.mu.Lock()
	_ = z.control.SetDeadline(time.Now().Add(exitTime))
	_ = send(z.control, map[string]string{"cmd": "exit"}, nil) // it may have exited already
	z.mu.Unlock()
	z.awaitExit()
}

// awaitExit waits for a zygote that is about to exit, and kills it after exitTime.
func (z *zygote) awaitExit() {
	timer := time.NewTimer(exitTime)
	defer timer.Stop()
	select {
	case <-z.Done():
	case <-timer.C:
	}
	z.kill()
}

// kill ends the zygote at once and waits until it has exited.
func (z *zygote) kill() {
	z.Kill()
	<-z.Done()
	z.control.Close()
}

// hazardError reports that a zygote with loaded code is not fork-safe.
type hazardError struct{ reasons []string }

func (e *hazardError) Error() string { return "not fork-safe: " + e.text() }

// text returns the first hazard and the number of the others.
func (e *hazardError) text() string {
	switch len(e.reasons) {
	case 0: // the report is the site's to write
		return "it does not say why"
	case 1:
		return e.reasons[0]
	}
	return fmt.Sprintf("%s and %d more", e.reasons[0], len(e.reasons)-1)
}
