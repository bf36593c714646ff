package fastcgi

import (
	"errors"

	"golang.org/x/sys/unix"
)

// tokens let a request be taken back that waits in a worker's socket behind another
// one. Each has a token: the worker takes one before it begins such a request, and
// passes over the request when there is none. So who takes one back first has the
// last request that was not begun; the kernel sees to it that only one of both does
// (eventfd(2), a semaphore).
//
// The worker may be hostile, and what it shares with us is not only the counter but the
// flags too: it can clear O_NONBLOCK, empty the counter, or fill it to its maximum, when
// read(2) and write(2) wait for ever. So neither is used. RWF_NOWAIT makes one read not
// wait, whatever the flags say. For a write there is no such thing (EOPNOTSUPP), and to
// set the flag or look at the counter before it is a race: adder lets the kernel add.
// What is left to the worker is to lie about its own site's requests.
type tokens int

var errWaits = errors.New("this kernel can not read an eventfd without waiting")

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
		return 0, errWaits
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

// take tells whether there was one. It never waits.
func (t tokens) take() bool {
	n, err := t.read()
	return err == nil && n > 0
}

func (t tokens) read() (int, error) {
	var b [8]byte
	return unix.Preadv2(int(t), [][]byte{b[:]}, -1, unix.RWF_NOWAIT)
}

func (t tokens) close() { unix.Close(int(t)) }
