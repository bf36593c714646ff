package proxy

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
)

// TestProxy_WholeAnswerSharesItsBuffer guards that an answer that is in memory takes no
// buffer of its own for its way to a client that speaks HTTP/2. It is not parallel, since
// it measures what the process allocates.
func TestProxy_WholeAnswerSharesItsBuffer(t *testing.T) {
	p := benchmarkProxy(t, nil)
	w := &sink{header: http.Header{}}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = "site.test"
	var before, after runtime.MemStats
	const requests, most = 200, 20 << 10 // with the race detector one in four buffers is new
	runtime.ReadMemStats(&before)
	for range requests {
		clear(w.header)
		p.ServeHTTP(w, r)
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / requests; got > most {
		t.Errorf("got %d bytes for a request, want at most %d", got, most)
	}
}
