package proxy

import (
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// TestServer_NamesEachRequest: the worker, the client and the access log get one ID of each
// request, from the loop, from net/http, of an error page and of a file. Only a trusted
// proxy may choose it, and the worker cannot change it.
func TestServer_NamesEachRequest(t *testing.T) {
	t.Parallel()
	liar := func(_ *crewWorker, uri string) *wire.Answer {
		return &wire.Answer{Status: 200, Fields: [][2]string{{"X-Request-Id", "liar"}, {"Content-Length", "2"}}, Body: []byte("ok")}
	}
	for name, test := range map[string]struct{ peer, says, want string }{
		"a stranger":     {"127.0.0.1", "mine", "our own"},
		"nobody":         {"127.0.0.1", "", "our own"},
		"a proxy":        {"127.0.0.9", "0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c"},
		"a silent proxy": {"127.0.0.9", "", "our own"},
		"a long one":     {"127.0.0.9", strings.Repeat("a", 200), "our own"},
		"an odd one":     {"127.0.0.9", `a" b`, "our own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrew(t, 1, liar)
			seen := c.heads()
			b := newBackend(t, says(200, "ok", "X-Request-Id", "liar"))
			f := startFront(t, c, Options{TrustedProxies: prefixes("127.0.0.9/32")}, func(s *site.Site) { s.Backend, s.MaxBody = b, 1 })
			p := dialFrom(t, test.peer, f.addr)
			for _, way := range []string{"GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nTE: trailers\r\n", "POST / HTTP/1.1\r\nContent-Length: 2\r\n"} {
				header := "Host: site.test\r\n"
				if test.says != "" {
					header += "X-Request-ID: " + test.says + "\r\n"
				}
				p.send(way + header + "\r\n")
				if resp, _ := p.whole("GET"); maskID(strings.Join(resp.Header["X-Request-Id"], " and ")) != test.want {
					t.Errorf("%q: the client got %q, want %s", way, resp.Header["X-Request-Id"], test.want)
				} else if e := <-f.entries; e.ID != resp.Header.Get("X-Request-Id") || e.Host != "site.test" {
					t.Errorf("%q: the log has %q of %q, the client %q", way, e.ID, e.Host, resp.Header.Get("X-Request-Id"))
				} else if e.Worker != "" && e.App <= 0 {
					t.Errorf("%q: the worker took %v", way, e.App)
				}
			}
			ofLoop, ofHTTP := <-seen, (<-b.claimed).request.Header["X-Request-Id"]
			if got := maskID(fieldOf(&ofLoop, "X-Request-Id")); got != test.want || maskID(strings.Join(ofHTTP, " and ")) != test.want {
				t.Errorf("the worker got %q and %q, want %s", got, ofHTTP, test.want)
			}
		})
	}
}

func fieldOf(h *wire.Head, name string) string {
	for _, f := range h.Fields {
		if strings.EqualFold(f[0], name) {
			return f[1]
		}
	}
	return ""
}
