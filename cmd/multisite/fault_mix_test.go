package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/coding"
)

const mixSites = `listen = "127.0.0.1:0"
trusted_proxies = ["127.0.0.9"]
[defaults]
python_home = "${VENV}"
wsgi = "mix.wsgi"
warmup = []
processes = 2
listen_backlog = 500
env = { BEGUN = "begun" }
static = { "/files/" = "files" }
sendfile = { "/private/" = "files" }
compress = true
redirects = { "/moved/*" = "/{rest}" }
access = { "/closed" = { deny = ["0.0.0.0/0"] } }
error_pages = { "403" = "closed.html" }
rate_limit = "1000000/s"
methods = ["GET", "POST"]
headers = { set = { X-Rule = "kept" } }
[site.one]
server_name = "one.example.com"
[site.two]
server_name = "two.example.com"
threads = 2
`

// TestFault_MixedTraffic (E15) sends requests of all kinds and sizes at once, from clients
// that are slow, disconnect, send a request in two halves, or several at a time. Each gets
// its own answer, soon and to the byte; other answers are counted.
func TestFault_MixedTraffic(t *testing.T) {
	t.Parallel()
	clients, lasts := 16, 2*time.Second
	if longForm() {
		clients, lasts = 48, time.Minute
	}
	r := newRunning(t, newDir(t, mixSites))
	writeFile(t, filepath.Join(r.dir, "mix.wsgi"), mixScript)
	writeFile(t, filepath.Join(r.dir, "closed.html"), mixClosed)
	if err := os.Mkdir(filepath.Join(r.dir, "files"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, size := range mixSizes {
		content := mixedContent(fmt.Sprint(size), size)
		writeFile(t, filepath.Join(r.dir, "files", fmt.Sprint(size)), string(content))
		if size%4096 == 0 { // the others are compressed when they are asked for
			writeFile(t, filepath.Join(r.dir, "files", fmt.Sprint(size, ".gz")), string(coding.Gzip.Encode(content)))
		}
	}
	r.start()
	t.Cleanup(r.finish)
	m := &mix{running: r, counts: map[string]int{}}
	m.run(clients, lasts, func() {})
	m.want("in peace", 0)
	m.run(clients, lasts, m.operate)
	m.want("while sites are restarted, scaled and upgraded", 0)
	kills := 0
	m.run(clients, lasts, func() { kills += m.kill() })
	m.want("while workers are killed", kills)
	m.wantOnce()
}

// mix is a supervisor whose clients record what they get.
type mix struct {
	*running

	mu sync.Mutex
	// mu protects the fields below
	counts   map[string]int // of answers, by status
	sent     int            // requests
	operated int
}

// run lets clients send requests for a while and calls step meanwhile.
func (m *mix) run(clients int, lasts time.Duration, step func()) {
	m.t.Helper()
	until := time.Now().Add(lasts)
	var all sync.WaitGroup
	for i := range clients {
		c := &mixed{mix: m, plain: i%2 == 0, slow: i%4 == 1, peer: "127.0.0.1"}
		if i%3 == 0 {
			c.peer = mixProxy
		}
		all.Go(func() {
			for time.Now().Before(until) && !m.t.Failed() {
				c.exchange()
			}
			c.disconnect()
		})
	}
	for time.Now().Before(until) && !m.t.Failed() {
		step()
		<-time.After(200 * time.Millisecond) // steps are that far apart
	}
	all.Wait()
}

// want checks that each request got its answer, except those that killed workers had; of
// these the ones that may be repeated were.
func (m *mix) want(when string, killed int) {
	m.t.Helper()
	m.t.Logf("%s: %v", when, m.counts)
	if m.counts["200"] == 0 || m.counts["cut"]+m.counts["502"] > killed || m.counts["502 repeatable"] > killed/10 {
		m.t.Errorf("%s: got %v, want no answer cut or 502 but of %d requests whose worker was killed", when, m.counts, killed)
	}
	m.counts = map[string]int{}
}

// wantOnce checks that no POST was begun twice.
func (m *mix) wantOnce() {
	m.t.Helper()
	seen := map[string]bool{}
	for path := range strings.FieldsSeq(readFile(m.t, filepath.Join(m.dir, "begun"))) {
		if seen[path] {
			m.t.Errorf("POST %s was begun twice", path)
		}
		seen[path] = true
	}
}

// operate does the next of an operator's actions.
func (m *mix) operate() {
	m.operated++
	switch m.operated % 6 {
	case 1:
		m.must("restart", "one")
	case 2:
		m.must("scale", "two", "3")
	case 3:
		m.must("pause", "two")
		m.must("resume", "two")
	case 4:
		writeFile(m.t, filepath.Join(m.dir, "mix.wsgi"), mixScript+"# "+strings.Repeat("#", m.operated)+"\n")
		m.must("reload")
	case 5:
		m.must("scale", "two", "2")
	default:
		m.upgrade()
	}
}

// kill kills a worker that is ready. It returns how many requests that may have had.
func (m *mix) kill() int {
	threads := 1 + rand.IntN(2)
	for _, w := range m.site([]string{"one", "two"}[threads-1]).Workers {
		if w.PID > 0 && w.State != "starting" && syscall.Kill(w.PID, syscall.SIGKILL) == nil {
			return threads
		}
	}
	return 0
}

func (m *mix) count(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[what]++
}
