package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

const walkSites = pythonSites + `
graceful_timeout = "10s"
processes = 2
threads = 2
[site.forked]
server_name = "forked.example.com"
settings = "subdomain1_settings"
[site.sleepy]
server_name = "sleepy.example.com"
wsgi = "sleepy.wsgi"
home = "."
processes = { min = 0, max = 2 }
inactivity_timeout = "400ms"
[site.program]
server_name = "program.example.com"
app = "./goapp"
home = "."
[site.program.service.bot]
command = "sleep 100000"
`

const sleepyScript = `import time
def application(environ, start_response):
    time.sleep(0.02)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"awake again"]
`

// TestFault_RandomWalk (E14) does what operators, crashes and idle nights do to sites, in
// random order and several at once, while clients send requests. MULTISITE_SEED=N repeats
// a walk.
func TestFault_RandomWalk(t *testing.T) {
	t.Parallel()
	lasts := 8 * time.Second
	if longForm() {
		lasts = 5 * time.Minute
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("MULTISITE_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64) // 0 if it is not a number
	}
	t.Logf("MULTISITE_SEED=%d", seed)
	w := newWalk(t, rand.New(rand.NewPCG(seed, 0)))
	before := w.use()
	loads := []*load{
		w.startLoad(hostOf("forked"), walkers, "Subdomain One", "/hello/", "/hello/?again"),
		w.startLoad(hostOf("program"), walkers, "Hello from program", "/", "/sleep?ms=20"),
	}
	for until := time.Now().Add(lasts); time.Now().Before(until); {
		for range 8 {
			w.step()
		}
		w.wantOrder()
	}
	t.Logf("%d steps: %v; at rest after %v at most", w.steps, w.done, w.longest)
	for _, l := range loads {
		if got := l.stop(); longForm() && got.Dials != walkers {
			t.Errorf("%d connections were made for %d clients, want that each is kept", got.Dials, walkers)
		}
	}
	w.backToStart()
	w.wantUse(before)
	fresh := newWalk(t, nil)
	fresh.use()
	fresh.wake()
	fresh.wantOrder()
	wantGoroutines(t, w.dump(), fresh.dump())
}

// walkers is the number of connections to each site. idle is the number of connections that
// the supervisor may keep to the two workers of a Go site.
const (
	walkers = 4
	idle    = 2 * walkers
)

// walk is a supervisor on a random walk.
type walk struct {
	*running
	random *rand.Rand
	want   map[string]int // processes that sites were scaled to
	killed map[string]death
	calls  sync.WaitGroup
	places chan struct{} // for calls that go on
	steps  int
	done   map[string]int

	longest time.Duration // until everything was as it should be
}

// death is the last kill of a worker of a site.
type death struct {
	at       time.Time
	requests int64 // the number that the site had answered then
}

func newWalk(t *testing.T, random *rand.Rand) *walk {
	t.Helper()
	r := newRunning(t, newDir(t, walkSites))
	writeFile(t, filepath.Join(r.dir, "sleepy.wsgi"), sleepyScript)
	build(t, "../../testdata/goapp", filepath.Join(r.dir, "goapp"))
	r.start()
	w := &walk{
		running: r, random: random, want: map[string]int{"forked": 2, "program": 2},
		killed: map[string]death{}, places: make(chan struct{}, 3), done: map[string]int{},
	}
	t.Cleanup(func() {
		switch {
		case !r.hasEnded():
			r.finish()
		case t.Failed():
			t.Log(r.log.String())
		}
	})
	return w
}

// step does one thing. Commands may still run during later steps.
func (w *walk) step() {
	w.steps++
	site := []string{"forked", "program", "sleepy"}[w.random.IntN(3)]
	switch what := w.random.IntN(11); {
	case what < 2 && site != "sleepy":
		n := 1 + w.random.IntN(3)
		w.want[site] = n
		w.calls.Wait() // of two at once either could win
		w.call("scale", fmt.Sprintf("%s=%d", site, n))
	case what == 2:
		w.edit()
		w.call("reload")
	case what == 3:
		w.edit()
		w.call("reload", site)
	case what == 4:
		w.call("restart", site)
	case what == 5:
		w.did("hangup")
		if err := syscall.Kill(w.pid, syscall.SIGHUP); err != nil {
			w.t.Fatal(err)
		}
	case what < 8:
		w.kill(site)
	case what == 8:
		w.wake()
	case what == 9:
		w.calls.Wait() // others are refused meanwhile
		w.did("upgrade")
		w.upgrade()
	default:
		w.pause()
	}
}

func (w *walk) did(what string) { w.done[what]++ }

// call runs a command, which must succeed whatever else happens.
func (w *walk) call(args ...string) {
	w.did(args[0])
	w.places <- struct{}{}
	w.calls.Go(func() {
		defer func() { <-w.places }()
		if got := runIn(w.t, w.dir, args...); got.code != 0 || got.stderr != "" {
			w.t.Errorf("multisite %s: exit %d\n%s", strings.Join(args, " "), got.code, got.stderr)
		}
	})
}

// edit changes code, but not what it does.
func (w *walk) edit() {
	path := filepath.Join(w.dir, "sleepy.wsgi")
	now := sleepyScript + fmt.Sprintf("# %d\n", w.steps)
	if err := os.WriteFile(path+".new", []byte(now), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil { // a reload must not see half of it
		w.t.Fatal(err)
	}
}

// kill kills a worker of a site, but not two in a row that may have had the same request,
// since a request is sent at most twice.
func (w *walk) kill(site string) {
	s := w.site(site)
	last := w.killed[site]
	again := site == "sleepy" || s.Requests.Total > last.requests+4*walkers // each connection has had answers
	if time.Since(last.at) < time.Second || !again || len(s.Workers) == 0 {
		return
	}
	victim := s.Workers[w.random.IntN(len(s.Workers))]
	if victim.PID == 0 || victim.State == "starting" {
		return
	}
	w.did("kill")
	w.killed[site] = death{time.Now(), s.Requests.Total}
	_ = syscall.Kill(victim.PID, syscall.SIGKILL) // it may just have exited
}

// wake sends several requests at once to the site that may sleep.
func (w *walk) wake() {
	w.did("wake")
	w.ask("sleepy", "/", "awake again")
}

func (w *walk) ask(site, path, want string) {
	w.t.Helper()
	var asked sync.WaitGroup
	for range walkers {
		asked.Go(func() {
			req := newRequest(w.t, http.MethodGet, hostOf(site), path, nil)
			req.Close = true // or the connection would count as a leak
			a, err := w.newVisitor().do(req)
			if err != nil || a.status != 200 || !strings.Contains(a.body, want) {
				w.t.Errorf("%s: status %d, %v: %s", site, a.status, err, a.body)
			}
		})
	}
	asked.Wait()
}

// pause waits about until the site that may sleep does.
func (w *walk) pause() {
	w.did("pause")
	<-time.After(time.Duration(w.random.IntN(800)) * time.Millisecond)
}

// wantOrder checks that everything is as it should be within 5 seconds without a step.
func (w *walk) wantOrder() {
	w.t.Helper()
	w.calls.Wait()
	start := time.Now()
	within(w.t, 5*time.Second, "all sites to be as they should", func() bool {
		for _, s := range w.status().Sites {
			if s.State == "sleeping" && s.Name == "sleepy" && len(s.Workers) == 0 {
				continue
			}
			want, fixed := w.want[s.Name]
			if s.State != "running" || s.Processes.Ready != s.Processes.Desired ||
				len(s.Workers) != s.Processes.Ready || fixed && s.Processes.Ready != want ||
				slices.ContainsFunc(s.Services, func(v status.Service) bool { return v.State != "running" }) {
				return false
			}
		}
		return true
	})
	w.longest = max(w.longest, time.Since(start))
}

// backToStart gives every site the workers that it had at the start.
func (w *walk) backToStart() {
	w.must("scale", "forked=2", "program=2")
	w.want = map[string]int{"forked": 2, "program": 2}
	w.wake()
	w.wantOrder()
}

// use returns what the supervisor holds after an upgrade, when every site has had a
// request, and the one that may sleep sleeps and its zygote has exited.
func (w *walk) use() use {
	w.t.Helper()
	w.upgrade() // then the connections to all workers are new
	w.ask("forked", "/probe/sleep/?ms=50", "slept")
	w.ask("program", "/sleep?ms=50", "Hello")
	w.wake()
	w.waitSite("sleepy", "sleeping")
	eventually(w.t, "its zygote to be unloaded", func() bool { return childrenOf(w.t, w.pid, "zyg sleepy") == 0 })
	return w.usage()
}

func (w *walk) wantUse(before use) {
	w.t.Helper()
	now := w.use()
	w.t.Logf("held before: %+v, afterwards: %+v", before, now)
	if now.processes != before.processes || now.descriptors > before.descriptors+idle || now.threads > before.threads+4 {
		w.t.Errorf("held before: %+v, afterwards: %+v\n%s", before, now, strings.Join(leftProcesses(w.t, w.dir), "\n"))
	}
	w.wake() // as when the walk began
	w.wantOrder()
}

// dump ends a supervisor and returns the number of its goroutines, by where they started.
func (w *walk) dump() map[string]int {
	w.t.Helper()
	if err := syscall.Kill(w.pid, syscall.SIGQUIT); err != nil {
		w.t.Fatal(err)
	}
	<-w.end.ch
	eventually(w.t, "its processes to exit with it", func() bool { return len(leftProcesses(w.t, w.dir)) == 0 })
	made := map[string]int{}
	for stack := range strings.SplitSeq(w.log.String(), "\n\n") {
		if !strings.HasPrefix(stack, "goroutine ") {
			continue
		}
		by := "the runtime"
		if m := createdBy.FindStringSubmatch(stack); m != nil {
			by = m[1]
		}
		made[by]++
	}
	checkNoCrash(w.t, strings.ReplaceAll(w.log.String(), "\n\ngoroutine ", "\n"))
	return made
}

var createdBy = regexp.MustCompile(`(?m)^created by (\S+)`)

func wantGoroutines(t *testing.T, got, want map[string]int) {
	t.Helper()
	if len(want) < 5 {
		t.Fatalf("the dump has no goroutines: %v", want)
	}
	for by, n := range got {
		more := 2 // a timer, a connection that is closing
		if strings.HasPrefix(by, "net/http.(*Transport)") {
			more += 2 * idle
		}
		if n > want[by]+more {
			t.Errorf("%d goroutines made by %s, a fresh supervisor has %d", n, by, want[by])
		}
	}
}
