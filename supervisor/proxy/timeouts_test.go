package proxy

import (
	"io"
	"testing"
	"time"
)

// TestOptions_TimeoutsHaveDefaults: the timeouts have the defaults that the README
// names.
func TestOptions_TimeoutsHaveDefaults(t *testing.T) {
	t.Parallel()
	if got, want := New(Options{}).timeouts, (Timeouts{Header: 10 * time.Second, Idle: 75 * time.Second, Client: time.Minute}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := New(Options{Timeouts: timeouts}).timeouts; got != timeouts {
		t.Errorf("got %v, want %v", got, timeouts)
	}
}

// TestServer_HeaderTimeout: a client that does not send a whole head in time is
// disconnected, whether the loop or net/http has it.
func TestServer_HeaderTimeout(t *testing.T) {
	t.Parallel()
	const limit = 300 * time.Millisecond
	f := startFront(t, newCrew(t, 1, echo), Options{Timeouts: Timeouts{Header: limit}})
	chunked := "POST /a HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" // net/http keeps its connection
	for _, test := range []struct {
		name, first, then string
		slowly            bool
	}{
		{"nothing", "", "", false},
		{"a part", "", "GET / HTTP/1.1\r\nHost: si", false},
		{"byte by byte", "", get("/a-path-that-takes-its-time"), true},
		{"a part after a request", get("/a"), "GET / HTTP/1.1\r\nHost: si", false},
		{"byte by byte after a request", get("/a"), get("/a-path-that-takes-its-time"), true},
		{"one byte after a request of net/http", chunked, "G", false},
		{"byte by byte after a request of net/http", chunked, get("/a-path-that-takes-its-time"), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := f.dial(test.first)
			p.tb = t
			if test.first != "" {
				p.wantBody("/a")
			}
			begin := time.Now()
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				_, _ = io.Copy(io.Discard, p.br) // however it ends
			}()
			p.drip(test.then, test.slowly, closed)
			if took := time.Since(begin); took < limit || took > 5*time.Second {
				t.Errorf("closed after %v, want %v", took, limit)
			}
		})
	}
}

// drip sends text, if slowly byte by byte and longer than any head may take, and
// returns when the connection is closed.
func (p *peer) drip(text string, slowly bool, closed chan struct{}) {
	if !slowly {
		p.send(text)
		<-closed
		return
	}
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for _, b := range []byte(text) {
		_, _ = p.Write([]byte{b}) // it may be closed by now
		select {
		case <-tick.C:
		case <-closed:
			return
		}
	}
	<-closed
}
