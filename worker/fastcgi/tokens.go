package fastcgi

import (
	"errors"

	"golang.org/x/sys/unix"
)

// tokens is an eventfd in semaphore mode (eventfd(2)) that a worker and the front door
// share. There is one token for each follower that is neither begun nor recalled: the
// worker takes one before it begins a follower, and the front door takes one to recall the
// last. The kernel gives each token to one of them only.
//
// The worker may be hostile. It shares not only the counter but also the descriptor's
// flags: it can clear O_NONBLOCK, empty the counter, or fill it to its maximum, and then
// read(2) and write(2) wait for ever. So neither is used. RWF_NOWAIT makes a single read
// that does not wait, whatever the flags are. There is no such flag for a write
// (EOPNOTSUPP), and to set O_NONBLOCK or to look at the counter first is a race; therefore
// adder lets the kernel add. All that the worker can still do is lie about requests of its
// own site.
type tokens int

var errEventfdBlocks = errors.New("this kernel cannot read an eventfd without waiting")

// newTokens returns tokens of which there is none yet. It fails on a kernel that cannot
// use them without waiting.
func newTokens() (tokens, error) {
	if _, err := adders(); err != nil {
		return 0, err
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK|unix.EFD_SEMAPHORE)
	if err != nil {
		return 0, err
	}
	t := tokens(fd)
	if _, err := t.read(); err != unix.EAGAIN {
		t.close()
		return 0, errEventfdBlocks
	}
	return t, nil
}

// add makes one token. It never waits.
func (t tokens) add() error {
	a, err := adders()
	if err != nil {
		return err
	}
	return a.add(int(t))
}

// take takes one token and reports whether there was one. It never waits.
func (t tokens) take() bool {
	n, err := t.read()
	return err == nil && n > 0
}

func (t tokens) read() (int, error) {
	var b [8]byte
	return unix.Preadv2(int(t), [][]byte{b[:]}, -1, unix.RWF_NOWAIT)
}

func (t tokens) close() { unix.Close(int(t)) }
