package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const hostileSites = `
listen = "127.0.0.1:0"
[defaults]
python_home = "${PYTHON}"
home = "code"
warmup = []
processes = 1
shutdown_timeout = "1s"
graceful_timeout = "2s"
[site.evil]
server_name = "evil.example.com"
wsgi = "evil:application"
user = "4711"
group = "4712"
request_timeout = "2s"
[site.good]
server_name = "good.example.com"
wsgi = "whoami:application"
user = "4811"
group = "4812"
`

// evilScript takes the tokens of all followers, after it has made the shared eventfd block:
// emptied, or filled to its maximum.
const evilScript = `
import fcntl, os, select, time

def application(environ, start_response):
    query = environ["QUERY_STRING"]
    if query in ("take", "fill"):
        held = []
        for name in os.listdir("/proc/self/fd"):
            try:
                shared = "eventfd" in os.readlink("/proc/self/fd/" + name)
            except OSError:
                continue
            if shared:
                held.append(int(name))
                fcntl.fcntl(int(name), fcntl.F_SETFL, fcntl.fcntl(int(name), fcntl.F_GETFL) & ~os.O_NONBLOCK)
        end = time.time() + 0.1
        while time.time() < end and held:
            for fd in select.select(held, [], [], 0.0005)[0]:
                os.read(fd, 8)
        if query == "fill":
            for fd in held:
                os.write(fd, (2**64 - 2).to_bytes(8, "little"))
            time.sleep(0.05)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
`

// TestHostile_TokensOfAnotherSite: whatever a site does to the eventfd that it shares with
// the front door, another user's site is served, and restart, upgrade and down work.
func TestHostile_TokensOfAnotherSite(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newUsersDir(t, hostileSites))
	evil := filepath.Join(r.dir, "code", "evil.py")
	writeFile(t, evil, evilScript)
	if err := os.Chmod(evil, 0o644); err != nil { // for every user
		t.Fatal(err)
	}
	r.start()
	t.Cleanup(r.finish)
	stop := make(chan struct{})
	var attack sync.WaitGroup
	defer attack.Wait()
	defer close(stop)
	for i := range 8 {
		v := r.newVisitor()
		attack.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				path := "/?w"
				if i == 0 && n%100 == 99 {
					path = "/?" + []string{"take", "fill"}[n/100%2]
				}
				_, _ = v.do(newRequest(t, http.MethodGet, "evil.example.com", path, strings.NewReader(""))) // the answer does not matter
			}
		})
	}
	good := func(times int) {
		t.Helper()
		v := r.newVisitor()
		for range times {
			began := time.Now()
			a, err := v.do(newRequest(t, http.MethodGet, "good.example.com", "/whoami", strings.NewReader("")))
			if took := time.Since(began); err != nil || a.status != http.StatusOK || took > 10*time.Second {
				t.Fatalf("the good site: status %d after %v (%v)", a.status, took, err)
			}
		}
	}
	good(500)
	r.must("restart", "evil")
	good(500)
	r.upgrade()
	good(500)
}
