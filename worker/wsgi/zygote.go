package wsgi

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/account"
	"github.com/multisite/multisite/worker/process"
)

// answerTime is how long a zygote may take for a fork, if startup_timeout is not
// less. One that takes longer is stuck in a lock that its fork left behind, or
// worse: it is killed.
const answerTime = 20 * time.Second

// errZygoteGone says that a zygote can not be asked any more.
var errZygoteGone = errors.New("the zygote is gone")

// maxMessage bounds what a zygote may answer.
const maxMessage = 16 << 20

// zygote is a process that has loaded code and forks on command. It only ever
// waits for a command on its control socket, and ends when that closes.
type zygote struct {
	*process.Process
	mu sync.Mutex
	// mu is held for one command and its answer
	control *net.UnixConn
}

// socketPair returns both ends of a control socket: ours, and the one that a
// zygote inherits.
func socketPair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a control socket: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "control")
	f := os.NewFile(uintptr(fds[0]), "control")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return c.(*net.UnixConn), theirs, nil
}

// ask sends a command, with descriptors, and reads the answer. After an error the
// zygote can not be used any more: command and answer may be out of step.
func (z *zygote) ask(limit time.Duration, command, answer any, files ...*os.File) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	_ = z.control.SetDeadline(time.Now().Add(limit)) // a socket has deadlines
	defer onEnd(z.Process, z.control.SetReadDeadline)()
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

// lastWords is how long what a process has written may take after its end.
const lastWords = time.Second

// onEnd limits reading when p ends: its end of the pipe or socket may be kept open
// by something that it started. stop must be called when nobody reads any more.
func onEnd(p *process.Process, limit func(time.Time) error) (stop func()) {
	stopped := make(chan struct{})
	go func() {
		select {
		case <-p.Done():
			_ = limit(time.Now().Add(lastWords)) // a pipe has deadlines
		case <-stopped:
		}
	}()
	return func() { close(stopped) }
}

// leaveItself gives a process that has said its last word the time to leave.
func leaveItself(p *process.Process) {
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-p.Done():
	case <-timer.C:
	}
}

// alive tells whether the zygote can still be asked.
func (z *zygote) alive() bool {
	select {
	case <-z.Done():
		return false
	default:
		return true
	}
}

// exitTime is how long a zygote may take for the exit handlers of the application.
const exitTime = 3 * time.Second

// end lets the zygote leave as a process does, exit handlers and all, and waits
// until it has. Its workers must have ended: a handler may remove what they use.
func (z *zygote) end() {
	z.mu.Lock()
	_ = z.control.SetDeadline(time.Now().Add(exitTime))
	_ = send(z.control, map[string]string{"cmd": "exit"}, nil) // it may have ended
	z.mu.Unlock()
	z.leave()
}

// leave waits until a zygote that is about to leave has.
func (z *zygote) leave() {
	timer := time.NewTimer(exitTime)
	defer timer.Stop()
	select {
	case <-z.Done():
	case <-timer.C:
	}
	z.kill()
}

// kill ends the zygote at once and waits until it has.
func (z *zygote) kill() {
	z.Kill()
	<-z.Done()
	z.control.Close()
}

// send writes a message: its length in four bytes, then JSON. Descriptors travel
// with the first byte (SCM_RIGHTS, unix(7)).
func send(c *net.UnixConn, v any, files []*os.File) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b = append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	n, _, err := c.WriteMsgUnix(b, rights, nil)
	if err != nil {
		return err
	}
	_, err = c.Write(b[n:])
	return err
}

func receive(c *net.UnixConn, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("it has ended")
		}
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxMessage {
		return fmt.Errorf("an answer of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// forked is the answer to every command that forks.
type forked struct {
	PID    int      `json:"pid"`
	Unsafe []string `json:"unsafe"` // why it is not safe to fork now
	Error  string   `json:"error"`
}

// birth is a process that a zygote forks, and the ends of pipes that it gets.
type birth struct {
	as     *account.Account // who it must turn out to be
	output *process.Output
	status *os.File // our end
	theirs *os.File // the child's end of status
}

func newBirth(as *account.Account, line func(string)) (*birth, error) {
	r, w, err := process.Pipe(as)
	if err != nil {
		return nil, err
	}
	output, err := process.NewOutput(as, line)
	if err != nil {
		r.Close()
		w.Close()
		return nil, err
	}
	return &birth{as: as, output: output, status: r, theirs: w}, nil
}

// fork asks z for a child, for at most limit, and takes charge of it. first is the descriptor that
// the child gets before its status pipe and its output.
func (b *birth) fork(z *zygote, limit time.Duration, command any, first *os.File) (*process.Process, error) {
	var answer forked
	name := nameOf(b.theirs)
	err := z.ask(min(limit, answerTime), command, &answer, first, b.theirs, b.output.File())
	b.theirs.Close()
	switch {
	case err == nil && answer.PID > 0:
		p, err := process.Adopt(answer.PID, b.as, b.output)
		if err != nil {
			if b.as == nil && answer.PID > 1 { // else it may be a lie
				_ = unix.Kill(-answer.PID, unix.SIGKILL) // nobody could end it later
			}
			b.drop()
			return nil, err
		}
		p.Forked(z.Process)
		return p, nil
	case err != nil:
		endStrays(name)
	case len(answer.Unsafe) > 0:
		err = &unsafeError{answer.Unsafe}
	default:
		err = fmt.Errorf("zygote %d: %s", z.PID(), answer.Error)
	}
	b.drop()
	return nil, err
}

func (b *birth) drop() {
	b.status.Close()
	b.output.Close()
}

// unsafeError says why code that is loaded must not be forked.
type unsafeError struct{ reasons []string }

func (e *unsafeError) Error() string { return "not safe to fork: " + e.text() }

func (e *unsafeError) text() string {
	if len(e.reasons) == 1 {
		return e.reasons[0]
	}
	return fmt.Sprintf("%s and %d more", e.reasons[0], len(e.reasons)-1)
}
