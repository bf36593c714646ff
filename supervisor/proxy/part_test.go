package proxy

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

// wantEnd reads the end of the connection, which was not reset.
func (p *peer) wantEnd() {
	p.tb.Helper()
	if b, err := p.br.ReadByte(); err != io.EOF {
		p.tb.Errorf("got %q (%v), want a clean end", b, err)
	}
}

// linger keeps the loop from handing over what takes long, for so long.
func (f *front) linger(long time.Duration) {
	f.loop.do(func() { f.loop.looked = time.Now().Add(long) })
}

const lastSlow = "GET /slow HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n"

// TestLoop_LastAnswerIsNotReset by what the client sends after its last request.
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
	until(t, "closed", func() bool { return f.parting() == 0 })
	f.wantCounts(1, 0)
}

// TestHanded_LastAnswerIsNotReset where net/http gave it.
func TestHanded_LastAnswerIsNotReset(t *testing.T) {
	t.Parallel()
	d, began, letGo := gated()
	f := startFront(t, newCrew(t, 1, d), Options{})
	p := f.dial("POST /slow HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
	<-began
	p.send(get("/more"))
	letGo <- nil
	p.wantBody("/slow")
	p.wantEnd()
	p.send("and more")
	p.Close()
	until(t, "closed", func() bool { return f.parting() == 0 })
	f.wantCounts(0, 1)
}

func (f *front) parting() (n int) {
	f.loop.do(func() { n = len(f.loop.parting) })
	return n
}

// TestLoop_PartsInTime from who does not close.
func TestLoop_PartsInTime(t *testing.T) {
	t.Parallel()
	f, p, letGo := busyLoop(t, get("/slow"))
	f.loop.end(false)
	f.loop.do(func() {}) // after that
	begin := time.Now()
	letGo <- nil
	if resp := p.wantBody("/slow"); !resp.Close {
		t.Error("got no Connection: close")
	}
	p.wantEnd()
	f.linger(0)
	<-f.loop.ended
	if took := time.Since(begin); took < partTime || took > partTime+10*time.Second {
		t.Errorf("it was closed after %v, want %v", took, partTime)
	}
}

// TestServer_ShutdownAnswersWhatHasCome on connections that were idle.
func TestServer_ShutdownAnswersWhatHasCome(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 2, echo), Options{})
	simple, other := f.dial(get("/a")), f.dial(get("/b"))
	simple.wantBody("/a")
	other.wantBody("/b")
	ended := make(chan error)
	f.loop.do(func() {
		go func() { ended <- f.Shutdown(t.Context()) }()
		until(t, "ending", func() bool { // by the next thing that the loop does
			f.loop.mu.Lock()
			defer f.loop.mu.Unlock()
			return len(f.loop.posted) > 0
		})
		simple.send(get("/late"))
		other.send("POST /late HTTP/1.1\r\nHost: site.test\r\nContent-Length: 0\r\n\r\n")
		for _, c := range f.loop.clients {
			until(t, "sent", func() bool { return !c.silent() })
		}
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
