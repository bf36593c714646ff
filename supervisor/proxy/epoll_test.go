package proxy

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/httphead"
)

// TestLoop_TellsTheScheduler of the wait that follows what it gave to a goroutine, and
// sees how many processors there are now.
func TestLoop_TellsTheScheduler(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, echo), Options{})
	p := f.dial("")
	until(t, "accepted", func() bool { return f.clients() == 1 })
	f.loop.do(func() {
		for _, c := range f.loop.clients {
			c.giveAway([]byte("POST /a HTTP/1.1\r\nHost: site.test\r\nContent-Length: 0\r\n\r\n"), httphead.BodyEnd{}, nil)
		}
		if !f.loop.gave {
			t.Error("it does not know that it gave something away")
		}
		if _, err := f.loop.epollWait(make([]unix.EpollEvent, 1), 0); f.loop.gave {
			t.Errorf("it does not forget it (%v)", err)
		}
		alone := runtime.GOMAXPROCS(0) == 1
		f.loop.alone, f.loop.looked, f.loop.swept = !alone, time.Time{}, time.Time{}
		if f.loop.lookAround(time.Now()); f.loop.alone != alone {
			t.Errorf("alone: %v, want %v", f.loop.alone, alone)
		}
	})
	p.wantBody("/a")
}
