package rules

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

// ask returns a request of a client at 192.0.2.1.
func ask(uri string) *Request {
	path, _, _ := strings.Cut(uri, "?")
	decoded, _ := url.PathUnescape(path)
	return &Request{Method: "GET", URI: uri, Path: decoded, Host: "a.test", Name: "a.test", Scheme: "http", Addr: "192.0.2.1", Authorization: func() string { return "" }}
}

func field(a *Answer, name string) string {
	for _, f := range a.Fields {
		if f[0] == name {
			return f[1]
		}
	}
	return ""
}

func redirects(t testing.TB, pairs ...string) (all []Redirect) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		r, err := NewRedirect(pairs[i], pairs[i+1], 308)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	SortRedirects(all)
	return all
}

func TestRules_Redirects(t *testing.T) {
	t.Parallel()
	all := redirects(t, "/old", "/new", "/blog/*", "https://blog.test/{rest}", "/blog/", "/blog-home", "/blog/2020/*", "/archive/{rest}#top",
		"/q", "/r?a=1", "/any/*", "/{rest}", "/find/*", "/search?q={rest}", "/caf%C3%A9/*", "/x/{rest}", "/!", "https://other.test")
	for uri, want := range map[string]string{
		"/old": "/new", "/old?a=b&c": "/new?a=b&c", "/older": "", "/old/": "", "/": "",
		"/blog/": "/blog-home", "/blog/a/b?c": "https://blog.test/a/b?c", "/blog": "", "/blog/2020/x": "/archive/x#top", "/blog/2020/x?y": "/archive/x?y#top",
		"/q": "/r?a=1", "/q?b=2": "/r?a=1&b=2", "/old?": "/new", "/!": "https://other.test",
		"/any//evil.test/x": "/evil.test/x", "/any/%2fevil.test": "/%2fevil.test", `/any/\evil.test`: "/%5Cevil.test", `/any//\evil`: "/%5Cevil",
		"/any/https://evil.test": "/https://evil.test", "/any/..//evil.test": "/..//evil.test", "/blog/@evil.test": "https://blog.test/@evil.test",
		"/any/%0d%0aSet-Cookie:a": "/%0d%0aSet-Cookie:a", "/any/é\x80\"": "/%C3%A9%80%22", "/old?<\x01>": "/new?%3C%01%3E",
		"/find/a&b=c%26": "/search?q=a%26b%3Dc%2526", "/caf%c3%a9/%62": "/x/%62", "/caf\u00e9/b": "/x/b", "/any/a%zz": "",
	} {
		q := ask(uri)
		v := (&Rules{Redirects: all}).Judge(q, time.Now())
		got := ""
		if v.Answer != nil {
			got = field(v.Answer, "Location")
		}
		if uri == "/any/a%zz" { // is no path: the front door refuses it
			continue
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", uri, got, want)
		}
	}
	q := ask("/shop/old?x")
	if v := (&Rules{Mount: "/shop", Redirects: all}).Judge(q, time.Now()); v.Answer == nil || field(v.Answer, "Location") != "/shop/new?x" {
		t.Errorf("below a mount: got %+v", v.Answer)
	}
}

// FuzzRules_Redirect: whatever a visitor sends, the answer leads where the operator says.
func FuzzRules_Redirect(f *testing.F) {
	all := redirects(f, "/a/*", "/{rest}", "/b/*", "https://b.test/{rest}", "/c/*", "/c{rest}", "/d/*", "https://d.test/?{rest}")
	for _, seed := range []string{"/evil.test", `\evil.test`, "@evil", "%2f%2fevil", "\t/evil", "x?y#z", "\r\nA: b", "..//evil"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, left string) {
		for _, prefix := range []string{"/a/", "/b/", "/c/", "/d/"} {
			q := ask(prefix + left)
			if q.Path == "" {
				return
			}
			v := (&Rules{Redirects: all}).Judge(q, time.Now())
			if v.Answer == nil {
				t.Fatalf("%q: no answer", q.URI)
			}
			location := field(v.Answer, "Location")
			for _, c := range []byte(location) {
				if c <= ' ' || c >= 0x7f || c == '\\' {
					t.Fatalf("%q leads to %q", q.URI, location)
				}
			}
			base, _ := url.Parse("http://a.test/x/y")
			host := map[string]string{"/a/": "a.test", "/b/": "b.test", "/c/": "a.test", "/d/": "d.test"}[prefix]
			if u, err := base.Parse(location); err == nil && u.Host != host {
				t.Fatalf("%q leads to %q, on %s", q.URI, location, u.Host)
			}
			if host == "a.test" && strings.HasPrefix(location, "//") {
				t.Fatalf("%q leads to %q", q.URI, location)
			}
		}
	})
}

func TestNewRedirect_Refuses(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"old", "/new"}, {"/a?b", "/new"}, {"/a#b", "/new"}, {"/a*", "/b"}, {"/*/a", "/b"}, {"/a//b", "/c"}, {"/a/../b", "/c"}, {"/%zz", "/c"},
		{"/a", "new"}, {"/a", "//evil.test"}, {"/a", "ftp://a.test"}, {"/a", "javascript:x"}, {"/a", "https://u:p@a.test"}, {"/a", "/b c"}, {"/a", "/b\r\nX: y"}, {"/a", ""},
		{"/a", "/{rest}"}, {"/a/*", "https://a.test{rest}"}, {"/a/*", "https://{rest}"}, {"/a/*", "{rest}"}, {"/a/*", "/b#{rest}"},
	} {
		if r, err := NewRedirect(pair[0], pair[1], 308); err == nil {
			t.Errorf("%q: got %+v", pair, r)
		}
	}
	if _, err := NewRedirect("/a", "/b", 200); err == nil {
		t.Error("status 200 is accepted")
	}
}

func TestLoop(t *testing.T) {
	t.Parallel()
	own := func(host string) bool { return host == "a.test" }
	for want, pairs := range map[string][]string{
		"/a":   {"/a", "/a"},
		"/b/*": {"/b/*", "/b/c/{rest}"},
		"/c/*": {"/c/*", "https://a.test/c/x"},
		"/*":   {"/*", "/x"},
		"/p":   {"/p", "/q", "/q", "/p"},
	} {
		if got := Loop(redirects(t, pairs...), own); got == nil || len(pairs) == 2 && got.From != want {
			t.Errorf("%q: got %+v, want %s", pairs, got, want)
		}
	}
	fine := redirects(t, "/a", "/b", "/b", "/c", "/d/*", "/{rest}", "/e/*", "https://b.test/e/{rest}", "/f/*", "/d/{rest}")
	if got := Loop(fine, own); got != nil {
		t.Errorf("got %+v", got)
	}
}

func TestRules_Canonical(t *testing.T) {
	t.Parallel()
	r := &Rules{Canonical: "a.test"}
	for _, test := range []struct{ host, name, scheme, uri, want string }{
		{"a.test", "a.test", "http", "/", ""},
		{"A.test:80", "a.test", "http", "/", ""},
		{"", "", "http", "/", ""},
		{"www.a.test", "www.a.test", "http", "/x?y=%20", "http://a.test/x?y=%20"},
		{"www.a.test:8080", "www.a.test", "http", "/x", "http://a.test:8080/x"},
		{"www.a.test:443", "www.a.test", "https", "/x", "https://a.test/x"},
		{"[::1]:81", "[::1]", "http", "//evil.test/", "http://a.test:81//evil.test/"},
		{"[::1]", "[::1]", "https", `/\"`, "https://a.test/%5C%22"},
	} {
		q := ask(test.uri)
		q.Host, q.Name, q.Scheme = test.host, test.name, test.scheme
		got := ""
		if v := r.Judge(q, time.Now()); v.Answer != nil {
			got = field(v.Answer, "Location")
		}
		if got != test.want {
			t.Errorf("%s %s: got %q, want %q", test.host, test.uri, got, test.want)
		}
	}
}

// TestRules_Order: of all rules that have an answer the first counts.
func TestRules_Order(t *testing.T) {
	t.Parallel()
	all := netip.MustParsePrefix("0.0.0.0/0")
	r := &Rules{
		Canonical: "b.test", Maintenance: &Maintenance{}, Methods: []string{"POST"}, Rate: Rate{1, time.Hour, 1}, Limiter: &Limiter{},
		Access: []Area{{Deny: []netip.Prefix{all}}}, Redirects: redirects(t, "/*", "https://c.test/"),
	}
	now := time.Now()
	r.Limiter.take("192.0.2.1", r.Rate, now)
	for _, off := range []struct {
		want int
		off  func()
	}{
		{308, func() { r.Canonical = "" }},
		{503, func() { r.Maintenance.Allow = []netip.Prefix{all} }},
		{405, func() { r.Methods = []string{"GET"} }},
		{429, func() { r.Rate = Rate{} }},
		{403, func() { r.Access = nil }},
		{308, func() { r.Redirects = nil }},
	} {
		v := r.Judge(ask("/x"), now)
		if v.Answer == nil || v.Answer.Status != off.want {
			t.Fatalf("got %+v, want %d", v.Answer, off.want)
		}
		off.off()
	}
	if v := r.Judge(ask("/x"), now); v.Answer != nil || v.Check != nil {
		t.Errorf("got %+v of no rule", v)
	}
}

func TestRules_AnswersSayWhatToDo(t *testing.T) {
	t.Parallel()
	r := &Rules{Methods: []string{"GET", "HEAD"}, Maintenance: &Maintenance{Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}}
	q := ask("/")
	q.Method = "PUT"
	if a := r.Judge(q, time.Now()).Answer; a == nil || field(a, "Allow") != "GET, HEAD" {
		t.Errorf("got %+v", a)
	}
	q.Addr = "198.51.100.1"
	if a := r.Judge(q, time.Now()).Answer; a == nil || a.Status != 503 || field(a, "Retry-After") != "60" {
		t.Errorf("got %+v", a)
	}
}

func TestHeaders_Apply(t *testing.T) {
	t.Parallel()
	h := &Headers{Set: [][2]string{{"X-A", "1"}, {"X-B", "2"}}, Remove: []string{"Server"}}
	fields := [][2]string{{"Server", "x"}, {"X-A", "old"}, {"X-C", "3"}}
	if got, want := fmt.Sprint(h.Apply(fields)), "[[X-C 3] [X-A 1] [X-B 2]]"; got != want || fields[0][0] != "Server" {
		t.Errorf("got %s, want %s", got, want)
	}
	header := http.Header{"Server": {"x"}, "X-A": {"old", "older"}, "X-C": {"3"}}
	if h.ApplyTo(header); fmt.Sprint(header) != "map[X-A:[1] X-B:[2] X-C:[3]]" {
		t.Errorf("got %v", header)
	}
	for _, name := range []string{"content-length", "Connection", "x-request-id", "a b", "", "X\r\nY"} {
		if _, err := CheckHeader(name, "a"); err == nil {
			t.Errorf("%q may be set", name)
		}
	}
	if _, err := CheckHeader("X-A", "a\r\nb"); err == nil {
		t.Error("a value of two lines may be set")
	}
}
