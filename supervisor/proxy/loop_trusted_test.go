package proxy

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// heads lets a crew tell how it sees each request that the loop sends.
func (c *crew) heads() <-chan wire.Head {
	seen := make(chan wire.Head, 100)
	c.sees = func(h *wire.Head) { seen <- *h }
	return seen
}

const forger = "X_Forwarded_For: 6.6.6.6\r\nX_FORWARDED_PROTO: https\r\nX-Remote-User: real\r\nX_Remote_User: admin\r\n"

// TestLoop_AnswersTrustedProxies: the loop answers trusted proxies itself, and believes
// them as net/http does: the same request comes once more with a header that makes the
// loop detach it.
func TestLoop_AnswersTrustedProxies(t *testing.T) {
	plainOnly(t)
	t.Parallel()
	for name, test := range map[string]struct{ peer, header, addr, scheme, fields string }{
		"a proxy": {"127.0.0.9", "X-Forwarded-For: 6.6.6.6, 192.0.2.7:99\r\nX-Forwarded-Proto: HTTPS\r\n" + forger,
			"192.0.2.7:99", "https", "X-Forwarded-For=6.6.6.6, 192.0.2.7:99 X-Forwarded-Proto=HTTPS X-Remote-User=real X-Request-Id=our own"},
		"one of RFC 7239": {"127.0.0.9", "Forwarded: for=\"[2001:db8::7]\";proto=https;host=shop.example\r\n" + forger,
			"[2001:db8::7]:0", "https", "Forwarded=for=\"[2001:db8::7]\";proto=https;host=shop.example X-Forwarded-Host=shop.example X-Remote-User=real X-Request-Id=our own"},
		"both": {"127.0.0.9", "X-Forwarded-For: 192.0.2.7\r\nForwarded: for=6.6.6.6;proto=https;host=evil\r\n",
			"192.0.2.7:0", "http", "X-Forwarded-For=192.0.2.7 X-Request-Id=our own"},
		"one that says nothing": {"127.0.0.9", forger, "127.0.0.9:", "http", "X-Remote-User=real X-Request-Id=our own"},
		"a stranger": {"127.0.0.1", "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6;proto=https\r\nX-Forwarded-Host: evil\r\n" + forger,
			"127.0.0.1:", "http", "X-Remote-User=real X-Request-Id=our own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCrew(t, 1, echo)
			seen := c.heads()
			b := newBackend(t, says(200, "/a"))
			f := startFront(t, c, Options{TrustedProxies: prefixes("127.0.0.9/32")}, func(s *site.Site) { s.Backend = b })
			p := dialFrom(t, test.peer, f.addr)
			p.send("GET /a HTTP/1.1\r\nHost: site.test\r\n" + test.header + "\r\n")
			p.wantBody("/a")
			h := <-seen
			f.wantCounts(1, 0)
			loops := h.RemoteAddr + ":" + h.RemotePort
			if strings.Contains(h.RemoteAddr, ":") {
				loops = "[" + h.RemoteAddr + "]:" + h.RemotePort
			}
			var fields []string
			for _, field := range h.Fields {
				fields = append(fields, field[0]+"="+maskID(field[1]))
			}
			slices.Sort(fields)
			if got := strings.Join(fields, " "); got != test.fields || h.Scheme != test.scheme || !strings.HasPrefix(loops, test.addr) {
				t.Errorf("the worker got %s from %s with %q, want %s from %s with %q", h.Scheme, loops, got, test.scheme, test.addr, test.fields)
			}
			if e := <-f.entries; e.Client != h.RemoteAddr {
				t.Errorf("logged for %s, want %s", e.Client, h.RemoteAddr)
			}
			p.send("GET /a HTTP/1.1\r\nHost: site.test\r\nTE: trailers\r\n" + test.header + "\r\n")
			p.wantBody("/a")
			r := (<-b.claimed).request
			fields = nil
			for _, name := range slices.Sorted(maps.Keys(r.Header)) {
				fields = append(fields, name+"="+maskID(strings.Join(r.Header[name], "|")))
			}
			if got := strings.Join(fields, " "); got != test.fields || r.URL.Scheme != test.scheme || r.RemoteAddr != loops {
				t.Errorf("by net/http: %s from %s with %q, want %s from %s with %q", r.URL.Scheme, r.RemoteAddr, got, test.scheme, loops, test.fields)
			}
		})
	}
}
