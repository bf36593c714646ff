package proxy

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/fastloop"
)

// wantEnd reads the end of the connection, which was not reset.
func (p *peer) wantEnd() {
	p.tb.Helper()
	if b, err := p.br.ReadByte(); err != io.EOF {
		p.tb.Errorf("got %q (%v), want a clean end", b, err)
	}
}

// delayLook keeps the loop from detaching what takes long, for so long.
func (f *front) delayLook(long time.Duration) {
	f.loop.Inspect(func(v fastloop.View) { v.DelayLook(long) })
}

const lastSlow = "GET /slow HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n"

// TestLoop_LastAnswerIsNotReset: what the client sends after its last request does not
// reset the connection before it has read the last answer.
func TestLoop_LastAnswerIsNotReset(t *testing.T) {
	t.Parallel()
	f, p, letGo := busyLoop(t, lastSlow)
	p.send(get("/more"))
	f.wantUnread()
	letGo <- nil
	p.wantBody("/slow")
	p.wantEnd()
	p.send("and more")
	p.Close()
	until(t, "closed", func() bool { return f.lingering() == 0 })
	f.wantCounts(1, 0)
}

// TestDetached_LastAnswerIsNotReset: the same holds for an answer that net/http gave.
func TestDetached_LastAnswerIsNotReset(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 1, d), Options{})
	p := f.dial("GET /slow HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\nTE: trailers\r\n\r\n")
	<-began
	p.send(get("/more"))
	letGo <- nil
	p.wantBody("/slow")
	p.wantEnd()
	p.send("and more")
	p.Close()
	until(t, "closed", func() bool { return f.lingering() == 0 })
	f.wantCounts(0, 1)
}

func (f *front) lingering() (n int) {
	f.loop.Inspect(func(v fastloop.View) { n = v.Lingering() })
	return n
}

// TestLoop_LingersForSomeTime: the loop closes a lingering connection after some time
// if the client does not.
func TestLoop_LingersForSomeTime(t *testing.T) {
	t.Parallel()
	f, p, letGo := busyLoop(t, get("/slow"))
	f.loop.Shutdown()
	f.loop.Probe() // after that
	begin := time.Now()
	letGo <- nil
	if resp := p.wantBody("/slow"); !resp.Close {
		t.Error("got no Connection: close")
	}
	p.wantEnd()
	f.delayLook(0)
	<-f.loop.Done()
	if took := time.Since(begin); took < fastloop.LingerTime || took > fastloop.LingerTime+10*time.Second {
		t.Errorf("it was closed after %v, want %v", took, fastloop.LingerTime)
	}
}

// TestServer_ShutdownAnswersWhatHasCome: Shutdown answers the requests that have
// arrived on idle connections.
func TestServer_ShutdownAnswersWhatHasCome(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 2, echo), Options{})
	simple, other := f.dial(get("/a")), f.dial(get("/b"))
	simple.wantBody("/a")
	other.wantBody("/b")
	ended := make(chan error)
	f.loop.Inspect(func(v fastloop.View) {
		go func() { ended <- f.Shutdown(t.Context()) }()
		until(t, "ending", f.loop.HasPosted) // by the next thing that the loop does
		simple.send(get("/late"))
		other.send("POST /late HTTP/1.1\r\nHost: site.test\r\nContent-Length: 0\r\n\r\n")
		until(t, "sent", v.AllSent)
	})
	for _, p := range []*peer{simple, other} {
		if resp := p.wantBody("/late"); !resp.Close {
			t.Error("got no Connection: close")
		}
		p.wantEnd()
		p.Close()
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := <-f.served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("served until %v", err)
	}
	f.served <- http.ErrServerClosed
}
