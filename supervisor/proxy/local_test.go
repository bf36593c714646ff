package proxy

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/site"
)

// TestProxy_ListsSitesForLocalhost: only a person on this machine sees the list, on a
// listener that has it, and only where no site answers for localhost.
func TestProxy_ListsSitesForLocalhost(t *testing.T) {
	t.Parallel()
	here := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
	local := func(at net.Addr) []Link {
		if at.String() != here.String() {
			return nil
		}
		return []Link{{"shop", "http://shop.localhost:8080/"}, {"<b>", "javascript:alert(1)"}}
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.5/32")}
	for _, test := range []struct {
		name   string
		change func(*http.Request)
		listed bool
	}{
		{"localhost", func(r *http.Request) {}, true},
		{"with a port", func(r *http.Request) { r.Host = "LOCALHOST:8080" }, true},
		{"127.0.0.1", func(r *http.Request) { r.Host = "127.0.0.1:8080" }, true},
		{"HEAD", func(r *http.Request) { r.Method = http.MethodHead }, true},
		{"by IPv6", func(r *http.Request) { r.RemoteAddr = "[::1]:9" }, true},
		{"another name", func(r *http.Request) { r.Host = "evil.example" }, false},
		{"another path", func(r *http.Request) { r.RequestURI, r.URL.Path = "/x", "/x" }, false},
		{"another method", func(r *http.Request) { r.Method = http.MethodPost }, false},
		{"another machine", func(r *http.Request) { r.RemoteAddr = "192.0.2.1:9" }, false},
		{"another machine that says it is this one", func(r *http.Request) {
			r.RemoteAddr = "192.0.2.1:9"
			r.Header.Set("X-Forwarded-For", "127.0.0.1")
		}, false},
		{"a trusted proxy", func(r *http.Request) { r.RemoteAddr = "127.0.0.5:9" }, false},
		{"a proxy that is not trusted", func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") }, false},
		{"a proxy that says only who it is", func(r *http.Request) { r.Header.Set("Via", "1.1 proxy") }, false},
		{"HTTP/1.0, as nginx speaks it", func(r *http.Request) { r.ProtoMinor = 0 }, false},
		{"another listener", func(r *http.Request) {
			other := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8081}
			*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(other)))
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := New(Options{Local: local, TrustedProxies: trusted, SpoolDir: t.TempDir()})
			p.SetTable(site.NewTable([]site.Route{{Hosts: []string{"shop.localhost"}, Mount: "/", Site: &site.Site{Name: "shop"}}}))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host, r.RemoteAddr = "localhost", "127.0.0.1:9"
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(here)))
			test.change(r)
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			want := http.StatusMisdirectedRequest
			if test.listed {
				want = http.StatusOK
			}
			body := w.Body.String()
			if w.Code != want || strings.Contains(body, "shop") != test.listed {
				t.Errorf("status %d, want %d: %s", w.Code, want, body)
			}
			if strings.Contains(body, "<b>") || strings.Contains(body, `href="javascript:`) {
				t.Errorf("not escaped: %s", body)
			}
		})
	}
}
