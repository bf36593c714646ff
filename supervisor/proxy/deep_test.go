package proxy

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/httphead"
)

// roomy is a listener whose connections hold more than the loop reads at once.
func roomy(tb testing.TB) net.Listener {
	tb.Helper()
	lc := net.ListenConfig{Control: setBuffer(unix.SO_RCVBUF, 1<<20)}
	l, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// sendWhole sends text to a loop that is held up until all of it lies in its socket.
func (f *front) sendWhole(text string) *peer {
	f.tb.Helper()
	p := f.dial("")
	until(f.tb, "accepted", func() (is bool) {
		f.loop.Inspect(func(v fastloop.View) { is = v.Clients() == 1 })
		return is
	})
	f.loop.Inspect(func(fastloop.View) {
		p.send(text)
		until(f.tb, "arrived", func() bool { return p.unsent() == 0 })
	})
	return p
}

// unsent is how much the other end has not got.
func (p *peer) unsent() (n int) {
	raw, err := p.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) })
	}
	if err != nil {
		p.tb.Fatal(err)
	}
	return n
}

// TestLoop_ReadsAllThatCameAtOnce: no event tells of what it left in the socket.
func TestLoop_ReadsAllThatCameAtOnce(t *testing.T) {
	t.Parallel()
	const n = 150
	var many strings.Builder
	for i := range n {
		fmt.Fprintf(&many, "GET /%d HTTP/1.1\r\nHost: site.test\r\nX-Long: %s\r\n\r\n", i, strings.Repeat("x", 1000))
	}
	f := startFrontOn(t, roomy(t), newCrew(t, 2, echo), Options{})
	p := f.sendWhole(many.String())
	for i := range n {
		p.wantBody(fmt.Sprint("/", i))
	}
}

// TestLoop_ReadsALongHeadAtOnce: one that is longer than a read, and one that is too long.
func TestLoop_ReadsALongHeadAtOnce(t *testing.T) {
	t.Parallel()
	for length, status := range map[int]int{httphead.MaxLength - 1000: 200, httphead.MaxLength + 1000: 431, 2 * httphead.MaxLength: 431} {
		f := startFrontOn(t, roomy(t), newCrew(t, 1, echo), Options{})
		p := f.sendWhole("GET /a HTTP/1.1\r\nHost: site.test\r\nX-Long: " + strings.Repeat("x", length) + "\r\n\r\n")
		if resp, _ := p.whole("GET"); resp.StatusCode != status {
			t.Errorf("%d bytes: got %d, want %d", length, resp.StatusCode, status)
		}
	}
}

// TestLoop_EmptyLinesWithoutEnd: empty lines without end are refused, since they could
// occupy the thread.
func TestLoop_EmptyLinesWithoutEnd(t *testing.T) {
	t.Parallel()
	f := startFrontOn(t, roomy(t), newCrew(t, 1, echo), Options{})
	p := f.sendWhole(strings.Repeat("\r\n", 50<<10))
	if resp, _ := p.whole("GET"); resp.StatusCode != 400 {
		t.Errorf("got %d, want 400", resp.StatusCode)
	}
	p = f.sendWhole(strings.Repeat("\r\n", 100) + get("/a"))
	p.wantBody("/a")
}
