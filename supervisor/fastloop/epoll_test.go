package fastloop

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/httphead"
)

// TestLoop_AnnouncesItsWait: the loop announces its wait to the scheduler after it
// gave a goroutine work, and looks again how many processors there are.
func TestLoop_AnnouncesItsWait(t *testing.T) {
	t.Parallel()
	var detached *Detached
	l, err := New(Options{Detach: func(d *Detached) { detached = d }})
	if err != nil {
		t.Fatal(err)
	}
	near, far := socketPair(t)
	l.add(near, "192.0.2.1:1", nil, time.Hour)
	l.clients[near].detachRequest([]byte("POST / HTTP/1.1\r\nHost: a\r\n\r\n"), httphead.BodyEnd{}, nil)
	if detached == nil || !l.gaveWork {
		t.Fatalf("detached %v, gave work: %v", detached, l.gaveWork)
	}
	defer detached.Socket.Close()
	if _, err := l.epollWait(make([]unix.EpollEvent, 1), 0); err != nil || l.gaveWork {
		t.Errorf("it does not forget that it gave work (%v)", err)
	}
	_ = unix.Close(far)
	single := runtime.GOMAXPROCS(0) == 1
	l.uniprocessor = !single
	if l.lookAround(time.Now()); l.uniprocessor != single {
		t.Errorf("uniprocessor: %v, want %v", l.uniprocessor, single)
	}
	go l.Run()
	l.Close()
	<-l.Done()
}

// TestLoop_WaitsShortlyFirst: a wait that may be long is announced, but only when nothing has
// happened for a moment.
func TestLoop_WaitsShortlyFirst(t *testing.T) {
	t.Parallel()
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.uniprocessor = false
	events := make([]unix.EpollEvent, 1)
	if n, err := l.epollWait(events, -1); n != 0 || err != nil || !l.quiet {
		t.Errorf("got %d events (%v), quiet: %v, want a short wait", n, err, l.quiet)
	}
	if n, err := l.epollWait(events, 10); n != 0 || err != nil || l.quiet {
		t.Errorf("got %d events (%v), quiet: %v, want an announced wait", n, err, l.quiet)
	}
	go l.Run()
	l.Close()
	<-l.Done()
}

// socketPair returns a non-blocking descriptor for a loop, and the other end.
func socketPair(t *testing.T) (near, far int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds[0], fds[1]
}
