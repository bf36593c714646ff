package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const onceSites = `listen = "127.0.0.1:0"
[defaults]
python_home = "${VENV}"
env = { BEGUN = "begun" }
[site.once]
server_name = "once.example.com"
wsgi = "once.wsgi"
warmup = []
processes = 3
request_timeout = "20s"
`

// onceScript notes each request that it begins, and answers with its name: at once,
// after a while, with more than a buffer holds, or in pieces.
const onceScript = `
import os
import time

def application(environ, start_response):
    path = environ["PATH_INFO"]
    log = os.open(os.environ["BEGUN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, path.encode() + b"\n")
    os.close(log)
    kind = path.split("/")[1]
    if kind == "slow":
        time.sleep(0.03)
    start_response("200 OK", [("Content-Type", "text/plain")])
    if kind == "large":
        return [path.encode() + b"x" * 300000]
    if kind == "pieces":
        return iter([path.encode(), b"x", b"x"])
    return [path.encode()]
`

// TestFollowers_OnceAndInTime: workers that always have followers in their socket, and are
// slow now and then, begin each request exactly once and forget none.
func TestFollowers_OnceAndInTime(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, onceSites))
	writeFile(t, filepath.Join(r.dir, "once.wsgi"), onceScript)
	r.start()
	t.Cleanup(r.finish)
	const clients, requests = 16, 250
	var all sync.WaitGroup
	for i := range clients {
		v := r.newVisitor()
		all.Go(func() {
			for n := range requests {
				r.once(v, fmt.Sprintf("%d-%d", i, n))
			}
		})
	}
	all.Wait()
	begun := strings.Fields(readFile(t, filepath.Join(r.dir, "begun")))
	times := map[string]int{}
	for _, path := range begun {
		if times[path]++; times[path] > 1 {
			t.Errorf("%s was begun %d times", path, times[path])
		}
	}
	if len(times) != clients*requests {
		t.Errorf("%d requests were begun, want %d", len(times), clients*requests)
	}
}

// once sends a request, mostly a fast one, and checks its answer.
func (r *running) once(v *visitor, name string) {
	kind, method := "fast", http.MethodGet
	switch rand.IntN(60) {
	case 0:
		kind = "slow"
	case 1:
		kind = "large"
	case 2:
		kind = "pieces"
	case 3:
		method = http.MethodPost
	}
	path, began := "/"+kind+"/"+name, time.Now()
	a, err := v.do(newRequest(r.t, method, "once.example.com", path, strings.NewReader(strings.Repeat("b", len(method)-3))))
	if took := time.Since(began); err != nil || a.status != 200 || !strings.HasPrefix(a.body, path) || took > 10*time.Second {
		r.t.Errorf("%s %s: status %d, %.40q after %v (%v)", method, path, a.status, a.body, took, err)
	}
}
