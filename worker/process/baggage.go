package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// stateEnv names the descriptor from which the next image reads what it was left.
const stateEnv = "MULTISITE_HANDOVER_FD"

// Baggage is what one image of this program leaves to the next, which takes its
// place in the same process (execve(2)): descriptors, and a text that tells what
// they are. A descriptor is packed as a copy, so that nothing that happens before
// the exec can close it or give its number to another file.
type Baggage struct {
	mu sync.Mutex
	// mu protects all below
	fds  []int
	undo []func()
}

// baggageTag is what the descriptor of stateEnv holds.
type baggageTag struct {
	FDs   []int           `json:"fds"`
	State json.RawMessage `json:"state"`
}

// Pack puts a copy of a file or socket in, and returns the number by which the
// next image takes it out.
func (b *Baggage) Pack(c syscall.Conn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	var dupErr error
	if err := raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3) }); err != nil {
		return -1, err
	}
	if dupErr != nil {
		return -1, fmt.Errorf("copy a descriptor: %w", dupErr)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fds = append(b.fds, fd)
	return fd, nil
}

// OnFailure has f called when the exec has failed.
func (b *Baggage) OnFailure(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.undo = append(b.undo, f)
}

// Exec replaces this image by another one, which finds state and all that was
// packed with Unpack. It returns only with an error, after which b is empty and
// everything is as it was. Signals that come from now on wait for the next image; but
// one may have come that is still on its way to whoever wants it, so the last that is
// asked before is veto. What is lost is a signal that another thread takes after that,
// before execve has ended it.
func (b *Baggage) Exec(path string, argv, env []string, state any, veto func() error) error {
	defer b.drop()
	if mainCalls.Load() == nil {
		return errors.New("replace the program: its main thread is not served")
	}
	memory, err := b.seal(state)
	if err != nil {
		return fmt.Errorf("leave a state: %w", err)
	}
	defer unix.Close(memory)
	env = append(slices.Clone(env), stateEnv+"="+strconv.Itoa(memory))
	var vetoed error
	onMain(func() {
		syscall.ForkLock.Lock() // nothing may be forked that would inherit them all
		defer syscall.ForkLock.Unlock()
		for _, fd := range append(b.fds, memory) {
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0) // it is open
		}
		before := holdSignals()
		if vetoed = veto(); vetoed == nil {
			err = execute(path, argv, env)
		}
		_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) // it was valid
		for _, fd := range append(b.fds, memory) {
			unix.CloseOnExec(fd)
		}
	})
	if vetoed != nil {
		return vetoed
	}
	return fmt.Errorf("replace the program by %s: %w", path, err)
}

// bornFiles is the limit of descriptors that Go has found at our start, and raised
// for us alone; nil: Go itself sees to it that children get it.
var bornFiles atomic.Pointer[unix.Rlimit]

// execute is execve, for which Go puts back the limit of descriptors that it has
// found. When execve fails we keep ours, and children get what they got before.
func execute(path string, argv, env []string) error {
	var ours, found unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, bornFiles.Load(), &ours); err != nil {
		return err
	}
	err := unix.Exec(path, argv, env)
	if unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &found) == nil && found != ours {
		bornFiles.Store(&found)
		_ = unix.Prlimit(0, unix.RLIMIT_NOFILE, &ours, nil) // it was allowed
	}
	return err
}

// held are the signals that would end the next image before it can heed them.
var held = [...]syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2}

// holdSignals lets them wait, for this thread, and returns what waited before.
func holdSignals() (before unix.Sigset_t) {
	var set unix.Sigset_t
	for _, s := range held {
		set.Val[(s-1)/64] |= 1 << ((s - 1) % 64)
	}
	_ = unix.PthreadSigmask(unix.SIG_BLOCK, &set, &before) // it is valid
	return before
}

// UnblockSignals lets those come that have waited since Exec. Whoever wants them must
// have asked for them (os/signal); nothing may be started before, which would never
// get any.
func UnblockSignals() {
	onMain(func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil) }) // it is valid
}

// seal writes what the next image reads into a file without a name.
func (b *Baggage) seal(state any) (fd int, err error) {
	text, err := json.Marshal(state)
	if err != nil {
		return -1, err
	}
	if text, err = json.Marshal(baggageTag{b.fds, text}); err != nil {
		return -1, err
	}
	if fd, err = unix.MemfdCreate("multisite handover", unix.MFD_CLOEXEC); err != nil {
		return -1, err
	}
	for len(text) > 0 {
		n, err := unix.Write(fd, text)
		if err != nil {
			unix.Close(fd)
			return -1, err
		}
		text = text[n:]
	}
	_, err = unix.Seek(fd, 0, io.SeekStart)
	return fd, err
}

// drop gives up what was packed.
func (b *Baggage) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, fd := range b.fds {
		unix.Close(fd)
	}
	for _, f := range b.undo {
		f()
	}
	b.fds, b.undo = nil, nil
}

// Unpack reads into state what the image before this one has left; false: there
// was none. Nothing that is started from now on inherits any of it.
func Unpack(state any) (_ *Baggage, left bool, err error) {
	number := os.Getenv(stateEnv)
	if number == "" {
		return nil, false, nil
	}
	_ = os.Unsetenv(stateEnv)
	keepName()
	fd, err := strconv.Atoi(number)
	if err != nil {
		return nil, true, fmt.Errorf("read %s: %w", stateEnv, err)
	}
	memory := os.NewFile(uintptr(fd), "handover")
	defer memory.Close()
	var tag baggageTag
	if err := json.NewDecoder(memory).Decode(&tag); err != nil {
		return nil, true, fmt.Errorf("read what the last program has left: %w", err)
	}
	for _, fd := range tag.FDs {
		unix.CloseOnExec(fd)
	}
	if err := json.Unmarshal(tag.State, state); err != nil {
		return nil, true, fmt.Errorf("read what the last program has left: %w", err)
	}
	return &Baggage{fds: tag.FDs}, true, nil
}

// keepName gives this process the name that it had: the kernel calls one that was
// executed as /proc/self/fd/31 "31", and ps and top show that.
func keepName() {
	threads, _ := filepath.Glob("/proc/self/task/*/comm") // the pattern is right
	for _, path := range threads {
		_ = os.WriteFile(path, []byte(filepath.Base(os.Args[0])), 0) // a name is a help, not a need
	}
}

// Take takes a descriptor out, which belongs to the caller now.
func (b *Baggage) Take(fd int, name string) (*os.File, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.fds, fd)
	if i < 0 {
		return nil, fmt.Errorf("%s: descriptor %d was not left to us", name, fd)
	}
	b.fds = slices.Delete(b.fds, i, i+1)
	return os.NewFile(uintptr(fd), name), nil
}

// Close closes what nobody has taken.
func (b *Baggage) Close() { b.drop() }
