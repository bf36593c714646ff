package fastloop

import (
	"crypto/tls"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
	"github.com/multisite/multisite/supervisor/static"
	"github.com/multisite/multisite/worker/wire"
)

// BufferSize is how much is read of an answer at once.
const BufferSize = 128 << 10

// Options are what a Loop is made of. All but TrustedProxies, TLS, HTTP2, Covers and
// Refused are needed.
type Options struct {
	// Lookup returns the site of a normalized host name and a path, as site.Table does.
	Lookup func(host, path string) (*site.Site, bool)
	// Detach gives a request to net/http. It is called on the loop's thread and must not
	// wait. It notes the connection in Loop.Conns.
	Detach func(*Detached)
	// TLS is for ListenTLS. Its callbacks must not wait; nil: there is no ListenTLS.
	TLS *tls.Config
	// HTTP2 gives a connection to net/http for good, whose client speaks HTTP/2: a *tls.Conn
	// after its handshake, or one without TLS. It must not wait. Conns does not know the
	// connection.
	HTTP2 func(net.Conn)
	// Covers reports whether a client that has asked for one server name in its handshake
	// may send requests for another host; nil: any.
	Covers func(asked, host string) bool

	TrustedProxies []netip.Prefix // peers whose X-Forwarded-For and -Proto are believed
	Limits         Limits
	Timeouts       Timeouts
	Store          *spool.Store  // for what slow clients do not take
	Files          *static.Files // nil: there are no static files
	Log            *slog.Logger
	// Refused is called on the loop's thread for every request that the loop refuses,
	// and must not wait; may be nil.
	Refused func(site.Refusal)
}

// Timeouts are how long a client may take.
type Timeouts struct {
	Header time.Duration // for the head of a request, and to begin the first
	Idle   time.Duration // from one request of a connection to the next
	Client time.Duration // to send or to take the next piece of a body
}

// Loop owns the connections of clients that are idle or have a simple request under way.
type Loop struct {
	// Set by New, never changed.
	o     Options
	conns *ConnSet
	seats seats
	epoll int
	bell  int           // an eventfd that wakes the thread
	done  chan struct{} // closed when Run has returned

	// Only the thread uses all below.
	uniprocessor bool                       // there is a single processor
	gaveWork     bool                       // a goroutine was given work since the last wait
	quiet        bool                       // nothing has happened in the last wait
	in           *wire.Buffer               // for what workers send
	head, out    []byte                     // for what a client sends, and what it gets
	blocks       [len(blockSizes)]sync.Pool // of *bodyBlock
	pieces       [][]byte                   // of what is written
	unread       []int                      // workers' connections of which more may have arrived, for which no event will come
	handedOver   map[int]func()             // is called when a client leaves that a goroutine has, while its worker answers
	plain        []byte                     // what is encrypted, if it was in several pieces
	sealed       []byte                     // what was encrypted
	date         dateLine
	accepting    map[int]bool // listening descriptors; false: on hold
	secured      map[int]bool // of those, the descriptors whose clients speak TLS
	handshakes   handshakes
	clients      map[int]*client  // all that are not detached or lingering, by descriptor
	heads        map[int]*client  // the head of each line, by the descriptor of the worker's connection
	busy         map[*client]bool // clients with a request under way; never false
	followers    int              // clients in lines that are not heads
	encoding     int              // whole answers that goroutines encode
	sending      []*client        // those with more of a file to send, which had their turn
	more         []*client        // those that were answered and have sent more
	lingering    map[int]*client  // connections whose last answer was written, by descriptor
	endingTLS    bool             // TLS connections end when they are idle, and none is accepted
	endWaiters   []chan struct{}  // closed when none of them is about to end
	paused       bool             // no request is read, no connection accepted
	idleWaiters  []chan struct{}  // closed when no request is under way
	reserve      int              // descriptors from here on are not for new clients
	crowded      time.Time        // when there were last too many connections
	warned       time.Time        // when a lack of descriptors was last logged
	looked       time.Time        // when lookAround last looked for what takes too long
	recalled     time.Time        // when recallStalled last looked for lines in which nothing moves
	swept        time.Time        // when lookAround last looked for idle connections

	mu sync.Mutex
	// mu protects all below
	posted   []func()  // to be called by the thread
	notified []*client // clients whose tickets are resolved
	asleep   bool      // the thread waits, or is about to
	closing  bool      // Shutdown or Close was called
	abrupt   bool      // Close was: Run does not wait for detached connections
	stopped  bool      // Run is about to return: nothing may be posted
}

// New returns a loop. Run serves it.
func New(o Options) (*Loop, error) {
	if o.Files == nil {
		o.Files = static.New()
	}
	l := &Loop{
		o: o, conns: newConnSet(), done: make(chan struct{}),
		uniprocessor: runtime.GOMAXPROCS(0) == 1, reserve: firstReserved(), in: wire.NewBuffer(BufferSize), head: make([]byte, maxRead), accepting: map[int]bool{}, secured: map[int]bool{},
		clients: map[int]*client{}, heads: map[int]*client{}, busy: map[*client]bool{}, lingering: map[int]*client{}, handedOver: map[int]func(){},
	}
	l.seats.byAddress = map[netip.Addr]int{}
	l.SetLimits(o.Limits)
	l.handshakes = newHandshakes(max(runtime.GOMAXPROCS(0)-1, 1))
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

// firstReserved returns the number from which on descriptors are not for new clients.
// The rest of what this process may open is a reserve for the requests of the clients
// that are connected: their workers, bodies and files.
func firstReserved() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt
	}
	all := int(min(limit.Cur, math.MaxInt32))
	return all - min(max(64, all/20), all/2)
}

// Conns returns the connections that other goroutines have.
func (l *Loop) Conns() *ConnSet { return l.conns }

func (l *Loop) watch(fd int, events uint32) error {
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// Watch makes the loop a wire.Watcher of workers' connections. Edge-triggered events are
// enough, because Receive reads all there is.
func (l *Loop) Watch(fd int) error { return l.watch(fd, unix.EPOLLIN|unix.EPOLLET) }

// Unwatch ends Watch. It does nothing for a descriptor that is not watched.
func (l *Loop) Unwatch(fd int) { _ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, fd, nil) }

// post lets the thread call f. It returns false if the thread has stopped.
func (l *Loop) post(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return false
	}
	l.posted = append(l.posted, f)
	l.wakeLocked()
	return true
}

// do calls f on the thread and returns when f has returned.
func (l *Loop) do(f func()) {
	done := make(chan struct{})
	if l.post(func() { defer close(done); f() }) {
		<-done
	}
}

// wake makes the thread look whether anything is left to do.
func (l *Loop) wake() { l.post(func() {}) }

// notify makes the thread look at a client's ticket.
func (l *Loop) notify(c *client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return
	}
	l.notified = append(l.notified, c)
	l.wakeLocked()
}

func (l *Loop) wakeLocked() {
	if l.asleep {
		l.asleep = false
		_, _ = unix.Write(l.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // fails only if it rings already
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

func (l *Loop) isClosing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing
}
