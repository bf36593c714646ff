package proxy

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/site"
)

// testRoutes are sites that overlap in every allowed way.
func testRoutes() []site.Route {
	route := func(name, mount string, hosts ...string) site.Route {
		return site.Route{Hosts: hosts, Mount: mount, Site: &site.Site{Name: name}}
	}
	return []site.Route{
		route("wild", "/", "*.example.com"),
		route("wildest", "/", "*.com"),
		route("exact", "/", "a.example.com", "www.example.com"),
		route("deep", "/", "*.b.example.com"),
		route("bare", "", "example.com"),
		route("shop", "/shop", "example.com"),
		route("shop new", "/shop/new", "example.com"),
		route("part", "/part", "part.example.com"),
		route("four", "/", "127.0.0.1"),
		route("six", "/", "[::1]"),
	}
}

var lookups = []struct {
	host, path string
	want       string // a site
	status     int    // or else
}{
	{host: "a.example.com", want: "exact"},
	{host: "A.EXAMPLE.COM", want: "exact"},
	{host: "a.example.com:9999", want: "exact"},
	{host: "a.example.com.", want: "exact"},
	{host: "A.Example.com.:80", want: "exact"},
	{host: "www.example.com", want: "exact"},
	{host: "c.example.com", want: "wild"},
	{host: "c.d.example.com", want: "wild"},
	{host: "x.a.example.com", want: "wild"},
	{host: "c.b.example.com", want: "deep"},
	{host: "d.c.b.example.com", want: "deep"},
	{host: "b.example.com", want: "wild"},
	{host: "other.com", want: "wildest"},
	{host: "notexample.com", want: "wildest"},
	{host: "com", status: 421},
	{host: "127.0.0.1:8080", want: "four"},
	{host: "127.0.0.2", status: 421},
	{host: "[::1]", want: "six"},
	{host: "[::1]:80", want: "six"},
	{host: "[0:0::1]:80", want: "six"},
	{host: "[::2]", status: 421},
	{host: "example.org", status: 421},
	{host: "example.com.evil.org", status: 421},
	{host: "localhost", status: 421},
	{host: "*.example.com", status: 400},
	{host: "a..example.com", status: 400},
	{host: "a example.com", status: 400},
	{host: "::1", status: 400},
	{host: "example.com", path: "/", want: "bare"},
	{host: "example.com", path: "/shopping", want: "bare"},
	{host: "example.com", path: "/Shop", want: "bare"},
	{host: "example.com", path: "/shop", want: "shop"},
	{host: "example.com", path: "/shop/", want: "shop"},
	{host: "example.com", path: "/shop?a=b", want: "shop"},
	{host: "example.com", path: "/shop/newer", want: "shop"},
	{host: "example.com", path: "/shop/new", want: "shop new"},
	{host: "example.com", path: "/shop/new/1", want: "shop new"},
	{host: "part.example.com", path: "/part/1", want: "part"},
	{host: "part.example.com", path: "/", status: 404}, // never the wildcard's site
}

// TestProxy_ChoosesSiteByName speaks raw HTTP, in both orders of the routes and
// in a third, on one connection: the name counts per request.
func TestProxy_ChoosesSiteByName(t *testing.T) {
	t.Parallel()
	backwards, shuffled := testRoutes(), testRoutes()
	slices.Reverse(backwards)
	slices.SortFunc(shuffled, func(a, b site.Route) int { return strings.Compare(a.Site.Name, b.Site.Name) })
	for name, routes := range map[string][]site.Route{"forwards": testRoutes(), "backwards": backwards, "shuffled": shuffled} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, r := range routes {
				r.Site.Backend = newBackend(t, says(200, r.Site.Name))
			}
			s := start(t, Options{}, routes...)
			p := s.dial("")
			for _, test := range lookups {
				path := test.path
				if path == "" {
					path = "/"
				}
				if strings.Contains(test.host, " ") { // net/http closes the connection itself
					p = s.dial("")
				}
				p.send("GET " + path + " HTTP/1.1\r\nHost: " + test.host + "\r\n\r\n")
				resp, body := p.whole("GET")
				if test.status != 0 && resp.StatusCode != test.status || test.status == 0 && body != test.want {
					t.Errorf("%s%s: got %d %.60q, want %d %q", test.host, path, resp.StatusCode, body, test.status, test.want)
				}
				if resp.Close {
					p = s.dial("")
				}
			}
		})
	}
}

// TestProxy_ShowsStrangersNothing asks for a name that no site has.
func TestProxy_ShowsStrangersNothing(t *testing.T) {
	t.Parallel()
	b := newBackend(t, says(200, "secret"))
	s := startSite(t, b, func(st *site.Site) {
		st.Static = []site.Static{{Prefix: "/static/", Dirs: testFiles(t), Only: true}}
	})
	for _, path := range []string{"/", "/static/site.css"} {
		p := s.dial("GET " + path + " HTTP/1.1\r\nHost: other.test\r\n\r\n")
		resp, body := p.whole("GET")
		if resp.StatusCode != 421 || !strings.Contains(body, "421 Misdirected Request") {
			t.Errorf("got %d %q", resp.StatusCode, body)
		}
		if strings.Contains(body, "site.test") || strings.Contains(body, "secret") || resp.Header.Get("Server") != "" {
			t.Errorf("got %v %q", resp.Header, body)
		}
	}
	if len(b.ends()) > 0 || len(s.entries) > 0 {
		t.Errorf("the site was asked")
	}
}

func TestProxy_AnswersRequestsWithoutOneName(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, request string
		status        int
		withDefault   int
	}{
		{"HTTP/1.0 without a name", "GET / HTTP/1.0\r\n\r\n", 421, 200},
		{"HTTP/1.1 without a name", "GET / HTTP/1.1\r\n\r\n", 400, 400},
		{"empty name", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 421, 200},
		{"unknown name", "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n", 421, 200},
		{"unknown address", "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", 421, 200},
		{"two names", "GET / HTTP/1.1\r\nHost: site.test\r\nHost: site.test\r\n\r\n", 400, 400},
		{"a space", "GET / HTTP/1.1\r\nHost: site test\r\n\r\n", 400, 400},
		{"name in the request line", "GET http://site.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n", 200, 200},
		{"nonsense", "GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", 400, 400},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, fallback := range []bool{false, true} {
				st := &site.Site{Name: "site", Backend: newBackend(t, says(200, "hello"))}
				s := start(t, Options{}, site.Route{Hosts: []string{"site.test"}, Mount: "/", Default: fallback, Site: st})
				resp, _ := s.dial(test.request).whole("GET")
				want := test.status
				if fallback {
					want = test.withDefault
				}
				if resp.StatusCode != want {
					t.Errorf("default=%v: got %d, want %d", fallback, resp.StatusCode, want)
				}
			}
		})
	}
}

// TestProxy_SetTableKeepsRunningRequests changes the sites while one answers.
func TestProxy_SetTableKeepsRunningRequests(t *testing.T) {
	t.Parallel()
	pr, pw := io.Pipe()
	s := startSite(t, newBackend(t, streams(200, pr)))
	resp, err := s.Client().Do(s.request("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	st := &site.Site{Name: "new", Backend: newBackend(t, says(200, "new"))}
	s.complete(st)
	s.proxy.SetTable(site.NewTable([]site.Route{{Hosts: []string{"site.test"}, Site: st}}))
	if _, body := s.do(http.MethodGet, "/", nil); body != "new" {
		t.Errorf("got %q, want the new site", body)
	}
	io.WriteString(pw, "old")
	pw.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "old" {
		t.Errorf("got %q, %v, want the old site's answer", body, err)
	}
}
