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

// manifestEnv names the descriptor from which the next image reads the manifest.
const manifestEnv = "MULTISITE_HANDOVER_FD"

// Baggage is what one image of this program hands over to the next, which takes its
// place in the same process (execve(2)): descriptors, and a manifest that says what they
// are. A descriptor is packed as a copy, so that nothing that happens before the exec can
// close it or give its number to another file. The zero value is empty.
type Baggage struct {
	mu sync.Mutex
	// mu protects all below
	fds  []int    // copies that Baggage owns until Take gives them away
	undo []func() // see OnFailure
}

// manifest is the JSON that the descriptor of manifestEnv holds.
type manifest struct {
	FDs   []int           `json:"fds"`
	State json.RawMessage `json:"state"`
}

// Pack packs a copy of a file or socket, and returns the number by which the next image
// takes it.
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

// OnFailure registers f to be called if the exec fails.
func (b *Baggage) OnFailure(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.undo = append(b.undo, f)
}

// Exec replaces this image by another one, which gets state and the packed descriptors
// from Unpack. It returns only with an error, after which b is empty and everything is as
// it was. Signals that arrive from now on wait for the next image. One that arrived before
// may still be on its way to its handler, so veto is called last and may stop the exec. A
// signal taken by another thread between veto and execve is lost.
func (b *Baggage) Exec(path string, argv, env []string, state any, veto func() error) error {
	defer b.discard()
	if mainCalls.Load() == nil {
		return errors.New("replace the program: its main thread is not served")
	}
	memory, err := b.writeManifest(state)
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	defer unix.Close(memory)
	env = append(slices.Clone(env), manifestEnv+"="+strconv.Itoa(memory))
	var vetoed error
	onMain(func() {
		syscall.ForkLock.Lock() // a child that is forked now would inherit all of them
		defer syscall.ForkLock.Unlock()
		for _, fd := range append(b.fds, memory) {
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0) // cannot fail: it is open
		}
		before := blockSignals()
		if vetoed = veto(); vetoed == nil {
			err = execute(path, argv, env)
		}
		_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) // cannot fail: it was the mask before
		for _, fd := range append(b.fds, memory) {
			unix.CloseOnExec(fd)
		}
	})
	if vetoed != nil {
		return vetoed
	}
	return fmt.Errorf("replace the program by %s: %w", path, err)
}

// initialFileLimit is the limit of open files that the Go runtime found at the start of
// this program and raised for this program alone; nil: children get it from Go itself.
var initialFileLimit atomic.Pointer[unix.Rlimit]

// execute calls execve, before which Go restores the limit of open files that it found.
// If execve fails, we take our own limit again, and children still get the initial one.
func execute(path string, argv, env []string) error {
	var ours, found unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, initialFileLimit.Load(), &ours); err != nil {
		return err
	}
	err := unix.Exec(path, argv, env)
	if unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &found) == nil && found != ours {
		initialFileLimit.Store(&found)
		_ = unix.Prlimit(0, unix.RLIMIT_NOFILE, &ours, nil) // cannot fail: it was ours before
	}
	return err
}

// blockedSignals would kill the next image before it can handle them.
var blockedSignals = [...]syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2}

// blockSignals blocks blockedSignals for this thread and returns its signal mask before.
func blockSignals() (before unix.Sigset_t) {
	var set unix.Sigset_t
	for _, s := range blockedSignals {
		set.Val[(s-1)/64] |= 1 << ((s - 1) % 64)
	}
	_ = unix.PthreadSigmask(unix.SIG_BLOCK, &set, &before) // cannot fail: it is valid
	return before
}

// UnblockSignals delivers the signals that have waited since Exec. The program must have
// registered its handlers (os/signal) before, and must not have started any process,
// which would have these signals blocked for ever.
func UnblockSignals() {
	onMain(func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil) }) // cannot fail: it is valid
}

// writeManifest writes the manifest to a file without a name.
func (b *Baggage) writeManifest(state any) (fd int, err error) {
	text, err := json.Marshal(state)
	if err != nil {
		return -1, err
	}
	if text, err = json.Marshal(manifest{b.fds, text}); err != nil {
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

// discard closes what was packed and calls what OnFailure has registered.
func (b *Baggage) discard() {
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

// Unpack reads into state what the image before this one has handed over. ok is false if
// there was no such image. No process that is started from now on inherits any of it.
func Unpack(state any) (_ *Baggage, ok bool, err error) {
	number := os.Getenv(manifestEnv)
	if number == "" {
		return nil, false, nil
	}
	_ = os.Unsetenv(manifestEnv)
	restoreName()
	fd, err := strconv.Atoi(number)
	if err != nil {
		return nil, true, fmt.Errorf("read %s: %w", manifestEnv, err)
	}
	memory := os.NewFile(uintptr(fd), "manifest")
	defer memory.Close()
	var m manifest
	if err := json.NewDecoder(memory).Decode(&m); err != nil {
		return nil, true, fmt.Errorf("read the manifest: %w", err)
	}
	for _, fd := range m.FDs {
		unix.CloseOnExec(fd)
	}
	if err := json.Unmarshal(m.State, state); err != nil {
		return nil, true, fmt.Errorf("read the manifest: %w", err)
	}
	return &Baggage{fds: m.FDs}, true, nil
}

// restoreName gives this process its name again. The kernel names a program that was
// executed as /proc/self/fd/31 "31", which ps and top show.
func restoreName() {
	threads, _ := filepath.Glob("/proc/self/task/*/comm") // the pattern is valid
	for _, path := range threads {
		_ = os.WriteFile(path, []byte(filepath.Base(os.Args[0])), 0) // only people need the name
	}
}

// Take takes out a descriptor, which the caller owns from now on.
func (b *Baggage) Take(fd int, name string) (*os.File, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.Index(b.fds, fd)
	if i < 0 {
		return nil, fmt.Errorf("%s: descriptor %d was not packed", name, fd)
	}
	b.fds = slices.Delete(b.fds, i, i+1)
	return os.NewFile(uintptr(fd), name), nil
}

// Close closes what was not taken.
func (b *Baggage) Close() { b.discard() }
