package proxy

import (
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	loopBuffer = 128 << 10             // a larger answer is not taken as a whole
	youngest   = 50 * time.Millisecond // a request that takes longer is handed over
	lookAround = 20 * time.Millisecond
)

// Loop answers simple requests to sites that can be asked, on one thread that
// waits for all descriptors at once (epoll), as nginx does: without a goroutine,
// a timer and a buffer for each connection, and with one system call to read and
// one to write on either side. That is a third of the work that net/http has with
// a request.
//
// It reads the heads of all requests, and refuses what is none (readHead). Beyond that it
// has no say in anything that is hard. What is not simple, what no worker could answer
// at once and completely, what fails or takes longer than a moment: net/http gets the
// connection for that one request (handed), begun or not, and exchange goes on with it.
// Then the connection comes back, with what was read behind the request.
type Loop struct {
	proxy    *Proxy
	handover *listener // of net/http, for all that is handed over
	handed   *census
	ended    chan struct{} // closed when run has ended

	epoll, bell int // bell wakes the thread
	// The thread alone uses all below.
	alone     bool // there is no other processor
	gave      bool // something to another goroutine, since the last wait
	in, out   []byte
	date      dateLine
	accepting map[int]bool     // listening descriptors; false: out of descriptors, paused
	clients   map[int]*client  // by descriptor
	asking    map[int]*client  // by the descriptor of the worker that is asked: the first in line
	busy      map[*client]bool // that have a request
	parting   map[int]*client  // by descriptor: who had a last answer
	paused    bool             // reads no request
	most      int              // descriptors from here on are not for new clients
	warned    time.Time        // when a lack of them was told
	inLine    int              // clients behind others, see ahead.go
	looked    time.Time        // when run last looked for what takes too long
	brokenUp  time.Time        // when run last looked for lines that do not move
	swept     time.Time        // when run last looked for idle connections

	mu sync.Mutex
	// mu protects all below
	posted  []func()
	told    []*client // whose place in a queue is settled
	asleep  bool      // the thread waits, or is about to
	closing bool
	atOnce  bool // without what others have
	over    bool
}

// newLoop returns a loop that notes in handed what it hands over.
func newLoop(p *Proxy, handed *census) (*Loop, error) {
	l := &Loop{
		proxy: p, handover: newListener(), handed: handed, ended: make(chan struct{}),
		alone: runtime.GOMAXPROCS(0) == 1, most: mostDescriptors(), in: make([]byte, loopBuffer), accepting: map[int]bool{},
		clients: map[int]*client{}, asking: map[int]*client{}, busy: map[*client]bool{}, parting: map[int]*client{},
	}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if l.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(l.epoll)
		return nil, err
	}
	return l, l.watch(l.bell, unix.EPOLLIN)
}

func (l *Loop) watch(fd int, events uint32) error {
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// Watch and Unwatch are for the connections of workers. Edges are enough: whoever
// reads takes all there is.
func (l *Loop) Watch(fd int) error { return l.watch(fd, unix.EPOLLIN|unix.EPOLLET) }

// Unwatch ends Watch.
func (l *Loop) Unwatch(fd int) { _ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, fd, nil) } // it may be watched by nobody

// post lets the thread call f. False: it has ended.
func (l *Loop) post(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return false
	}
	l.posted = append(l.posted, f)
	l.wakeLocked()
	return true
}

// tell lets the thread look at a client's place in a queue.
func (l *Loop) tell(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.told = append(l.told, c)
	l.wakeLocked()
}

func (l *Loop) wakeLocked() {
	if l.asleep {
		l.asleep = false
		_, _ = unix.Write(l.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // it can only be rung already
	}
}

// takePosted calls what was posted.
func (l *Loop) takePosted() {
	for {
		l.mu.Lock()
		posted := l.posted
		l.posted = nil
		l.mu.Unlock()
		if len(posted) == 0 {
			return
		}
		for _, f := range posted {
			f()
		}
	}
}

// takeTold sends the requests that got a worker.
func (l *Loop) takeTold() {
	l.mu.Lock()
	told := l.told
	l.told = nil
	l.mu.Unlock()
	for _, c := range told {
		c.settled()
	}
}

// run serves until it is told to end and the last client has left, also those that
// were handed over.
func (l *Loop) run() {
	defer close(l.ended)
	events := make([]unix.EpollEvent, 256)
	for !l.isOver() {
		for _, e := range events[:l.wait(events)] {
			l.event(int(e.Fd), e.Events)
		}
		now := time.Now()
		l.breakUp(now)
		l.lookAround(now)
	}
	unix.Close(l.epoll)
	unix.Close(l.bell)
}

// isOver calls what was posted, and tells whether all is done.
func (l *Loop) isOver() bool {
	l.takePosted()
	l.takeTold()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = l.closing && len(l.clients)+len(l.parting)+len(l.posted) == 0 && (l.atOnce || l.handed.quiet())
	return l.over
}

// wait returns the number of events. It does not wait when something was posted.
func (l *Loop) wait(events []unix.EpollEvent) int {
	timeout := l.leisure()
	l.mu.Lock()
	if l.asleep = len(l.posted) == 0 && len(l.told) == 0; !l.asleep {
		timeout = 0
	}
	l.mu.Unlock()
	n, err := l.epollWait(events, timeout)
	l.mu.Lock()
	l.asleep = false
	l.mu.Unlock()
	if err != nil { // a signal
		return 0
	}
	return n
}

// leisure is how long nothing needs a look, in milliseconds.
func (l *Loop) leisure() int {
	switch {
	case l.inLine > 0:
		return int(stall / 2 / time.Millisecond)
	case len(l.busy)+len(l.parting) > 0 || l.isClosing():
		return int(lookAround / time.Millisecond)
	case len(l.clients) > 0 || !l.listens():
		return int(time.Second / time.Millisecond)
	}
	return -1
}

func (l *Loop) event(fd int, events uint32) {
	if l.asking[fd] != nil {
		for c := l.asking[fd]; c != nil && c.answered(); c = l.asking[fd] {
		}
		return
	}
	if c := l.clients[fd]; c != nil {
		c.readable(events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
		return
	}
	if c := l.parting[fd]; c != nil {
		l.drain(c)
		return
	}
	if l.accepting[fd] {
		l.accept(fd)
		return
	}
	if fd == l.bell {
		var b [8]byte
		_, _ = unix.Read(fd, b[:]) // only its end of waiting counts
	}
}

// lookAround hands over what takes too long and closes what has been idle too long.
func (l *Loop) lookAround(now time.Time) {
	if now.Sub(l.looked) < lookAround {
		return
	}
	l.looked = now
	for c := range l.busy {
		if now.Sub(c.start) > youngest {
			c.handOver()
		}
	}
	l.forgetParting(now)
	if now.Sub(l.swept) < time.Second {
		return
	}
	l.swept, l.alone = now, runtime.GOMAXPROCS(0) == 1
	l.resume()
	for _, c := range l.clients {
		if !l.busy[c] && now.Sub(c.start) > c.patience && !(l.paused && c.hasMore()) {
			c.expire()
		}
	}
}

func (l *Loop) isClosing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing
}

// takeBack makes a connection the loop's again. begun is what was read of it since.
func (l *Loop) takeBack(s *socket, begun []byte) error {
	fd, err := s.detach()
	if err == nil {
		l.take(l.lower(fd), string(s.peer), string(s.local), begun)
	}
	return err
}

// take makes a descriptor the loop's.
func (l *Loop) take(fd int, peer, local string, begun []byte) {
	if !l.post(func() {
		l.add(fd, peer, local, l.proxy.timeouts.Idle)
		if c := l.clients[fd]; c != nil {
			c.begun = begun
			c.goOn()
		}
	}) {
		unix.Close(fd)
	}
}
