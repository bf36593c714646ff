package proxy

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/multisite/multisite/supervisor/rules"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// staff has the user alice, whose password is "wonder".
var staff = sync.OnceValue(func() *rules.Users {
	hash, _ := bcrypt.GenerateFromPassword([]byte("wonder"), bcrypt.MinCost)
	users, err := rules.ParseUsers("alice:" + string(hash))
	if err != nil {
		panic(err)
	}
	return users
})

func authorization(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) + "\r\n"
}

// ruled gives a site rules of all kinds.
func ruled(tb testing.TB, s *site.Site) {
	tb.Helper()
	for from, to := range map[string]string{"/old": "/new", "/r/*": "/{rest}", "/blog/*": "https://blog.test/?{rest}"} {
		r, err := rules.NewRedirect(from, to, 308)
		if err != nil {
			tb.Fatal(err)
		}
		if s.Rules == nil {
			s.Rules = &rules.Rules{Limiter: &rules.Limiter{}, Passwords: rules.NewPasswords()}
		}
		s.Rules.Redirects = append(s.Rules.Redirects, r)
	}
	rules.SortRedirects(s.Rules.Redirects)
	s.Rules.Methods = []string{"GET", "HEAD", "POST", "PUT", "OPTIONS", "PATCH"}
	s.Rules.Access = []rules.Area{
		{Path: "/closed", Deny: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}},
		{Path: "/staff", Users: staff(), Realm: "Staff"},
	}
	s.Headers = &rules.Headers{Set: [][2]string{{"X-Frame-Options", "DENY"}}, Remove: []string{"Server", "X-Content-Type-Options"}}
	s.Pages = map[int]rules.Page{403: {Type: "text/plain; charset=utf-8", Body: []byte(strings.Repeat("closed\n", 20_000))}}
}

var retryAfter = regexp.MustCompile(`Retry-After: 3[56]\d\d\\r`) // within two minutes of an hour

// untimed returns an answer without the seconds that have passed.
func untimed(answer string) string {
	return retryAfter.ReplaceAllString(answer, "Retry-After: an hour")
}

// TestServer_RulesAreTheSame: the loop and net/http give the same answer, to the byte, to
// requests for which a rule decides, and log and count them alike.
func TestServer_RulesAreTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.css"), []byte("css"), 0o600); err != nil {
		t.Fatal(err)
	}
	answer := func(_ *crewWorker, uri string) *wire.Answer {
		return &wire.Answer{Status: 200, Fields: [][2]string{{"Content-Length", fmt.Sprint(len(uri))}, {"Content-Type", "text/plain"}, {"Server", "x"}, {"X-Frame-Options", "ALLOW"}}, Body: []byte(uri)}
	}
	rate := rules.Rate{Count: 1, Per: time.Hour, Burst: 1}
	front := func(change ...func(*site.Site)) *front {
		return startFront(t, newCrew(t, 1, answer), Options{}, append([]func(*site.Site){func(s *site.Site) {
			ruled(t, s)
			s.Static = []site.Static{{Prefix: "/files/", Dirs: []string{dir}, Only: true}}
		}}, change...)...)
	}
	kinds := map[string]func(*site.Site){
		"all":         func(*site.Site) {},
		"canonical":   func(s *site.Site) { s.Rules.Canonical = "www.test" },
		"maintenance": func(s *site.Site) { s.Rules.Maintenance = &rules.Maintenance{} },
		"page": func(s *site.Site) {
			s.Rules.Maintenance = &rules.Maintenance{Page: &rules.Page{Type: "text/plain", Body: []byte("back soon")}}
		},
		"exempted": func(s *site.Site) {
			s.Rules.Maintenance = &rules.Maintenance{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
		},
		"rate": func(s *site.Site) { s.Rules.Rate = rate },
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loop, behind := front(kind), front(kind, func(s *site.Site) { s.Fast = nil })
			for _, path := range []string{"/a", "/old?x=y", "/r//evil.test", "/blog/a&b?c", "/closed/a", "/closed", "/x/../closed", "/staff/a", "/files/a.css", "/files/none"} {
				for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE"} {
					for _, header := range []string{"", "Connection: close\r\n", authorization("alice", "wonder"), authorization("alice", "wrong")} {
						if !strings.HasPrefix(path, "/staff") && strings.HasPrefix(header, "Auth") {
							continue
						}
						request := method + " " + path + " HTTP/1.1\r\nHost: site.test\r\n" + header + "\r\n"
						got, want := untimed(loop.record(request, method)), untimed(behind.record(request, method))
						if got != want {
							t.Errorf("%q: the loop answers\n%.400s\nnet/http\n%.400s", request, got, want)
						}
						if !strings.Contains(got, "X-Frame-Options: DENY") || strings.Contains(got, "Server: x") || strings.Contains(got, "nosniff") {
							t.Errorf("%q: got %.400s", request, got)
						}
						a, b := (<-loop.entries), (<-behind.entries)
						if a.Status != b.Status || a.Bytes != b.Bytes || a.User != b.User || a.Line != b.Line {
							t.Errorf("%q: the loop logs %d %d %q, net/http %d %d %q", request, a.Status, a.Bytes, a.User, b.Status, b.Bytes, b.User)
						}
						if !strings.Contains(header, "close") { // record has asked for one more
							<-loop.entries
							<-behind.entries
						}
					}
				}
			}
		})
	}
}

// TestServer_AccessOfFiles: no way to write a path leads to a file in a closed directory of
// static files, whose names begin at their prefix.
func TestServer_AccessOfFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "closed"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "closed", "a.txt"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := startFront(t, newCrew(t, 1, echo), Options{}, func(s *site.Site) {
		s.Static = []site.Static{{Prefix: "/files/", Dirs: []string{dir}}}
		s.Rules = &rules.Rules{Access: []rules.Area{{Path: "/files/closed", Deny: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}}}
	})
	for _, path := range []string{
		"/files/closed/a.txt", "/files//closed/a.txt", "/files/./closed/a.txt", "/files/%63losed/a.txt", "/files/x/../closed/a.txt",
		"/files/../closed/a.txt", "/files/%2e%2e/closed/a.txt", "/files/..%2fclosed/a.txt", "/files/x/../../closed/a.txt", "/files/../../closed/a.txt", "/files/closed/../../closed/a.txt",
	} {
		for way, request := range ways("GET", path) {
			resp, body := f.dial(request).whole("GET")
			if resp.StatusCode != 403 && resp.StatusCode != 400 || body == "secret" {
				t.Errorf("%s: %s: got %d %.20q", way, path, resp.StatusCode, body)
			}
		}
	}
}

// TestServer_RuleWithABody: a request that a rule answers may have a body. Its rate is
// counted once, and the next request of the connection is not taken for a part of it.
func TestServer_RuleWithABody(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, echo), Options{}, func(s *site.Site) {
		ruled(t, s)
		s.Rules.Rate = rules.Rate{Count: 3, Per: time.Hour, Burst: 3}
	})
	p := f.dial("POST /old HTTP/1.1\r\nHost: site.test\r\nContent-Length: 5\r\n\r\nhello")
	if resp, _ := p.whole("POST"); resp.StatusCode != 308 || resp.Header.Get("Location") != "/new" {
		t.Errorf("got %d %v", resp.StatusCode, resp.Header)
	}
	for i, want := range []int{200, 200, 429, 429} {
		p := f.dial(get("/a"))
		resp, _ := p.whole("GET")
		if resp.StatusCode != want || want == 429 && resp.Header.Get("Retry-After") == "" {
			t.Errorf("request %d: got %d %v, want %d", i, resp.StatusCode, resp.Header, want)
		}
	}
}

// TestServer_PassesTheUser: the worker gets the name of a user whose password was checked,
// and not the password; a client cannot name one itself.
func TestServer_PassesTheUser(t *testing.T) {
	t.Parallel()
	for _, fast := range []bool{true, false} {
		c := newCrew(t, 1, echo)
		heads := c.heads()
		b := newBackend(t, says(200, "ok"))
		f := startFront(t, c, Options{}, func(s *site.Site) {
			if ruled(t, s); !fast {
				s.Backend, s.Fast = b, nil
			}
			if fast {
				s.Backend = b // the first check of a password is net/http's
			}
		})
		p := f.dial("")
		want := func(user, path, header string) {
			t.Helper()
			p.send("GET " + path + " HTTP/1.1\r\nHost: site.test\r\nRemote-User: root\r\n" + header + "\r\n")
			if resp, _ := p.whole("GET"); resp.StatusCode != 200 {
				t.Fatalf("got %d", resp.StatusCode)
			}
			var got, password, named string
			select {
			case h := <-heads:
				got, password, named = h.User, fieldOf(&h, "Authorization"), fieldOf(&h, "Remote-User")
			case claim := <-b.claimed:
				r := claim.request
				if r.URL.User != nil {
					got = r.URL.User.Username()
				}
				password, named = r.Header.Get("Authorization"), r.Header.Get("Remote-User")
			}
			if got != user || named != "" || user != "" && password != "" || user == "" && header != "" && password == "" {
				t.Errorf("fast %v, %s: the worker got the user %q with %q and %q, want %q", fast, path, got, password, named, user)
			}
		}
		want("alice", "/staff/a", authorization("alice", "wonder"))
		want("alice", "/staff/b", authorization("alice", "wonder"))
		want("", "/open", authorization("alice", "wonder"))
		want("alice", "/staff/c", "TE: trailers\r\n"+authorization("alice", "wonder"))
		want("", "/open", "")
		for range 4 {
			<-f.entries
		}
	}
}

// TestSecure_Rules: rules answer over TLS, too.
func TestSecure_Rules(t *testing.T) {
	t.Parallel()
	f := startSecure(t, newCrew(t, 1, echo), Options{}, func(s *site.Site) { ruled(t, s) })
	p := f.dial(get("/old?b"))
	if resp, _ := p.whole("GET"); resp.StatusCode != 308 || resp.Header.Get("Location") != "/new?b" {
		t.Errorf("got %d %v", resp.StatusCode, resp.Header)
	}
	p.send(get("/closed"))
	if resp, body := p.whole("GET"); resp.StatusCode != 403 || body != string(f.site.Pages[403].Body) {
		t.Errorf("got %d and %d bytes", resp.StatusCode, len(body))
	}
	canonical := startSecure(t, newCrew(t, 1, echo), Options{}, func(s *site.Site) {
		ruled(t, s)
		s.Rules.Canonical = "www.test"
	})
	p = canonical.dial(get("/a?b"))
	if resp, _ := p.whole("GET"); resp.StatusCode != 308 || resp.Header.Get("Location") != "https://www.test/a?b" {
		t.Errorf("got %d %v", resp.StatusCode, resp.Header)
	}
}

// TestServer_SlowClientOfAPage: a page that a client does not take at once gets there.
func TestServer_SlowClientOfAPage(t *testing.T) {
	t.Parallel()
	f := startFrontOn(t, loopback(t, 4096), newCrew(t, 1, echo), Options{}, func(s *site.Site) { ruled(t, s) })
	p := f.narrow("GET /closed HTTP/1.1\r\nHost: site.test\r\n\r\n")
	f.check()
	resp, body := p.whole("GET")
	if resp.StatusCode != http.StatusForbidden || body != string(f.site.Pages[403].Body) {
		t.Errorf("got %d and %d bytes", resp.StatusCode, len(body))
	}
	if e := <-f.entries; e.Status != 403 || e.Bytes != int64(len(body)) {
		t.Errorf("logged %d, %d bytes", e.Status, e.Bytes)
	}
	f.wantMine(p, true)
}

// ruledSeeds are requests for which a rule decides.
func ruledSeeds() (seeds []string) {
	for _, path := range []string{"/old", "/old?a=b", "/r//evil", "/r/%2f%5cevil", "/closed/a", "/closed/../a", "//closed", "/%63losed", "/staff", "/staff/a"} {
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
			seeds = append(seeds, method+" "+path+" HTTP/1.1\r\nHost: site.test\r\n\r\n",
				method+" "+path+" HTTP/1.1\r\nHost: site.test\r\n"+authorization("alice", "wonder")+"Remote-User: root\r\n\r\n")
		}
	}
	return slices.Compact(seeds)
}
