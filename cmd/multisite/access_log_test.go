package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const logSites = `
listen = "127.0.0.1:0"
[site.a]
server_name = "a.example.com"
python_home = "${VENV}"
wsgi = "log.wsgi"
access_log = "combined"
`

const logScript = `
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join(environ.get("HTTP_" + name, "-") for name in ("X_REQUEST_ID", "TRACEPARENT", "REMOTE_USER")).encode()]
`

// TestAccessLog: a real worker gets the request ID that the client and the log get, and the
// trace context as it is. The format changes with a reload, and an upgrade keeps it.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, logSites))
	writeFile(t, filepath.Join(r.dir, "log.wsgi"), logScript)
	r.start()
	t.Cleanup(r.finish)
	line := func(id string) string { // with this request ID
		t.Helper()
		var found string
		eventually(t, "the request to be in the log", func() bool {
			b, _ := os.ReadFile(filepath.Join(r.dir, ".multisite", "logs", "a.access.log")) // it may not exist yet
			for line := range strings.Lines(string(b)) {
				if strings.Contains(line, id) {
					found = line
				}
			}
			return found != ""
		})
		return found
	}
	if got, want := line(r.identified()), " a/1 a.example.com "; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s in it", got, want)
	}
	wantJSON := func() {
		t.Helper()
		id := r.identified()
		var got map[string]any
		if err := json.Unmarshal([]byte(line(id)), &got); err != nil || got["worker"] != "a/1" || got["request_id"] != id || got["user_agent"] != `a "b` ||
			got["path"] != "/x" || got["query"] != "y" || got["status"] != 200.0 || got["site"] != "a" || got["app_ms"].(float64) <= 0 {
			t.Errorf("got %v, %v", got, err)
		}
	}
	r.rewrite(`"combined"`, `"json"`)
	r.wantReload("a: access_log changed, no worker restarted\n")
	wantJSON()
	r.must("upgrade")
	wantJSON()
	r.rewrite(`"json"`, `"off"`)
	r.wantReload("a: access_log changed, no worker restarted\n")
	off := r.identified()
	r.rewrite(`"off"`, `"combined"`)
	r.wantReload("a: access_log changed, no worker restarted\n")
	line(r.identified())
	if b, _ := os.ReadFile(filepath.Join(r.dir, ".multisite", "logs", "a.access.log")); strings.Contains(string(b), off) {
		t.Errorf("the log has a request that came while it was off:\n%s", b)
	}
}

// identified sends a request and returns its ID, which the worker must have got, too.
func (r *running) identified() string {
	r.t.Helper()
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	req := newRequest(r.t, http.MethodGet, "a.example.com", "/x?y", nil)
	for name, value := range map[string]string{"X-Request-Id": "mine", "Traceparent": trace, "Remote-User": "admin", "User-Agent": `a "b`} {
		req.Header.Set(name, value)
	}
	a, err := r.newVisitor().do(req)
	id := a.header.Get("X-Request-Id")
	if err != nil || len(id) != 20 || a.body != id+" "+trace+" -" {
		r.t.Fatalf("got %q of %q, %v", a.body, id, err)
	}
	return id
}
