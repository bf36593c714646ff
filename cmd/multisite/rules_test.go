package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

const ruleSites = `
listen = "127.0.0.1:0"
[site.a]
server_name = "a.example.com"
server_alias = ["www.a.example.com"]
python_home = "${VENV}"
wsgi = "rule.wsgi"
canonical_host = true
redirects = { "/old" = "/new" }
error_pages = { "403" = "closed.html" }
headers = { set = { X-Frame-Options = "DENY" } }
[site.a.access]
"/closed" = { deny = ["127.0.0.0/8"] }
"/staff" = { users = "staff" }
`

const ruleScript = `
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join([environ.get(name, "-") for name in ("REMOTE_USER", "HTTP_AUTHORIZATION", "HTTP_REMOTE_USER")]).encode()]
`

// TestRules: a real worker behind rules, which a reload changes and an upgrade keeps; files
// of rules are read again by themselves. No worker is restarted.
func TestRules(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, ruleSites))
	writeFile(t, filepath.Join(r.dir, "rule.wsgi"), ruleScript)
	writeFile(t, filepath.Join(r.dir, "closed.html"), "closed")
	writeFile(t, filepath.Join(r.dir, "staff"), htpasswd(t, "alice", "wonder"))
	r.start()
	t.Cleanup(r.finish)
	worker := r.pids("a")
	all := func() {
		t.Helper()
		r.wantRule("a.example.com", "/old?x", "", http.StatusPermanentRedirect, "/new?x")
		r.wantRule("www.a.example.com:81", "/x", "", http.StatusPermanentRedirect, "http://a.example.com:81/x")
		r.wantRule("a.example.com", "/closed", "", http.StatusForbidden, "closed")
		r.wantRule("a.example.com", "/staff/", "", http.StatusUnauthorized, "")
		r.wantRule("a.example.com", "/staff/", "alice:wrong", http.StatusUnauthorized, "")
		r.wantRule("a.example.com", "/staff/", "alice:wonder", http.StatusOK, "alice - -")
		r.wantRule("a.example.com", "/", "alice:wonder", http.StatusOK, "- Basic YWxpY2U6d29uZGVy -")
	}
	all()
	all()
	r.must("upgrade")
	all()

	r.rewrite(`"/old" = "/new"`, `"/old" = { to = "/newer", status = 302 }`)
	r.wantReload("a: redirects changed, no worker restarted\n")
	r.wantRule("a.example.com", "/old", "", http.StatusFound, "/newer")
	r.rewrite(`"/newer"`, `"/old"`)
	if got := r.multisite("reload"); got.code != 1 || !strings.Contains(got.stderr, `sites.toml:9: site.a.redirects."/old": leads back to itself`) {
		t.Errorf("got %d, %s", got.code, got.stderr)
	}
	r.rewrite(`"/old", status`, `"/newer", status`)
	r.rewrite("canonical_host = true\n", "methods = \"GET\"\nrate_limit = \"1000/s\"\n")
	r.wantReload("a: canonical_host, rate_limit, methods changed, no worker restarted\n")
	r.wantRule("www.a.example.com", "/", "", http.StatusOK, "- - -")

	writeFile(t, filepath.Join(r.dir, "closed.html"), "closed for good")
	writeFile(t, filepath.Join(r.dir, "staff"), htpasswd(t, "bob", "builder"))
	eventually(t, "the files to be read again", func() bool {
		return r.get("a.example.com", "/closed").body == "closed for good"
	})
	eventually(t, "the users to be read again", func() bool {
		return r.ruled("a.example.com", "/staff/", "bob:builder").status == http.StatusOK
	})
	r.wantRule("a.example.com", "/staff/", "alice:wonder", http.StatusUnauthorized, "")
	if err := os.Remove(filepath.Join(r.dir, "staff")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log to name it", func() bool { return strings.Contains(r.siteLog("a"), "is not read again") })
	r.wantRule("a.example.com", "/staff/", "bob:builder", http.StatusOK, "bob - -")
	for pid := range worker {
		if !r.pids("a")[pid] {
			t.Error("the worker was restarted")
		}
	}
}

func htpasswd(t *testing.T, name, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return name + ":" + string(hash) + "\n"
}

// ruled sends a request without following redirects. credentials: "" or NAME:PASSWORD.
func (r *running) ruled(host, path, credentials string) answer {
	r.t.Helper()
	v := r.newVisitor()
	v.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	req := newRequest(r.t, http.MethodGet, host, path, nil)
	if name, password, ok := strings.Cut(credentials, ":"); ok {
		req.SetBasicAuth(name, password)
	}
	a, err := v.do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

// wantRule checks status, and Location or body.
func (r *running) wantRule(host, path, credentials string, status int, want string) {
	r.t.Helper()
	a := r.ruled(host, path, credentials)
	got := a.body
	if status/100 == 3 {
		got = a.header.Get("Location")
	}
	if a.status != status || want != "" && got != want || a.header.Get("X-Frame-Options") != "DENY" || a.header.Get("X-Request-Id") == "" {
		r.t.Errorf("%s%s as %q: got %d %q %v, want %d %q", host, path, credentials, a.status, got, a.header, status, want)
	}
}
