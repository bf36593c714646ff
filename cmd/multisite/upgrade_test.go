package main

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// upgradeSites is a Python site with a zygote, services and cron entries, and a program in Go.
const upgradeSites = pythonSites + `
processes = 2
[site.subdomain1]
server_name = "subdomain1.example.com"
settings = "subdomain1_settings"
processes = 3
threads = 2
[site.subdomain1.service.bot]
command = ["sh", "-c", "echo bot up; while :; do sleep 0.05; done"]
[site.subdomain1.cron]
long = { schedule = "* * * * *", command = "sleep 1000" }
[site.hello]
server_name = "hello.example.com"
app = "./goapp"
`

const helloHost = "hello.example.com"

// upgradable starts upgradeSites.
func upgradable(t *testing.T) *running {
	t.Helper()
	r := newRunning(t, newDir(t, upgradeSites))
	build(t, "../../testdata/goapp", filepath.Join(r.dir, "goapp"))
	r.start()
	t.Cleanup(r.finish)
	return r
}

// TestFault_Upgrade (E11) replaces the supervisor again and again under load.
func TestFault_Upgrade(t *testing.T) {
	t.Parallel()
	upgrades := 3
	if longForm() {
		upgrades = 20
	}
	r := upgradable(t)
	within(t, 2*time.Minute, "the cron job to run", func() bool { return r.site("subdomain1").Cron[0].PID != 0 })
	r.must("upgrade") // descriptors that the first upgrade opens are open now
	before, descriptors := r.possessions(), r.descriptors()

	const clients = 8
	load := r.startLoad(host1, clients, "", "/hello/", "/probe/sleep/?ms=20")
	posts, fresh := r.askAlways(helloHost, http.MethodPost, false), r.askAlways(host1, http.MethodGet, true)
	var longest float64
	kept := 0 // connections of clients with long requests
	for n := range upgrades {
		finished := func() (time.Duration, string) { return 3 * time.Second, "" }
		if n%10 == 1 {
			finished = r.longRequest(3 * time.Second)
			kept++
		}
		longest = max(longest, r.upgrade())
		if took, wrong := finished(); wrong != "" || took < 3*time.Second {
			t.Errorf("upgrade %d: a request of 3 seconds ended after %v: %s", n, took, wrong)
		}
		if now := r.possessions(); !maps.Equal(now, before) {
			t.Fatalf("upgrade %d: processes\n%v\nwere\n%v", n, now, before)
		}
	}
	t.Logf("requests waited for %.2f s at most", longest)
	posts.stop()
	fresh.stop()
	if got := load.stop(); got.Dials != clients {
		t.Errorf("%d connections were made for %d clients, want that each is kept", got.Dials, clients)
	}
	r.upgrade() // connections to workers are made again
	eventually(t, "descriptors to be as many as before", func() bool { return len(r.descriptors()) <= len(descriptors)+kept })
	r.parts(t, []part{
		{"the state is kept", upgradeKeepsState},
		{"a worker that dies is replaced", upgradeThenKill},
		{"the zygote forks", upgradeThenScale},
		{"code is reloaded", upgradeThenReload},
		{"SIGUSR2 upgrades", upgradeBySignal},
	})
}

var upgraded = regexp.MustCompile(`^process (\d+): multisite (\S+) became (\S+); requests waited for (\d+\.\d+) s\n$`)

// upgrade runs an upgrade and returns for how many seconds requests had to wait.
func (r *running) upgrade() float64 {
	r.t.Helper()
	name := readFile(r.t, fmt.Sprintf("/proc/%d/comm", r.pid))
	out := r.must("upgrade")
	if now := readFile(r.t, fmt.Sprintf("/proc/%d/comm", r.pid)); now != name {
		r.t.Errorf("after an upgrade the process is called %q, not %q", now, name)
	}
	m := upgraded.FindStringSubmatch(out)
	if m == nil || m[1] != fmt.Sprint(r.pid) || m[2] != version() || m[3] != version() {
		r.t.Fatalf("upgrade printed %q", out)
	}
	seconds, err := strconv.ParseFloat(m[4], 64)
	if err != nil {
		r.t.Fatal(err)
	}
	return seconds
}

// possessions returns all processes of the supervisor by their name.
func (r *running) possessions() map[string]int {
	r.t.Helper()
	all := map[string]int{}
	st := r.status()
	all["supervisor started "+st.Supervisor.Started.String()] = st.Supervisor.PID
	for _, s := range st.Sites {
		for _, w := range s.Workers {
			all[fmt.Sprintf("worker %s of generation %d", w.ID, s.Generation)] = w.PID
		}
		for _, v := range s.Services {
			all[fmt.Sprintf("service %s/%s, restarts %d", s.Name, v.Name, v.Restarts)] = v.PID
		}
		for _, c := range s.Cron {
			all["cron "+c.Name] = c.PID
		}
	}
	for _, c := range children(r.t, r.pid) {
		if strings.HasPrefix(c.name, "zyg ") {
			all[c.name] = c.pid
		}
	}
	return all
}

func (r *running) descriptors() []os.DirEntry {
	r.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.pid))
	if err != nil {
		r.t.Fatal(err)
	}
	return entries
}

// always is a client that sends requests without a pause.
type always struct {
	t    testing.TB
	quit chan struct{}
	done sync.WaitGroup

	transport *http.Transport
	good      int
	bad       []string
}

// askAlways starts a client that requests a greeting over and over, each time on a new
// connection or always on the same.
func (r *running) askAlways(host, method string, fresh bool) *always {
	v := r.newVisitor()
	a := &always{t: r.t, quit: make(chan struct{}), transport: v.http.Transport.(*http.Transport)}
	a.transport.DisableKeepAlives = fresh
	a.done.Go(func() {
		for {
			select {
			case <-a.quit:
				return
			default:
			}
			got, err := v.do(newRequest(r.t, method, host, "/hello/", strings.NewReader(strings.Repeat("x", 100))))
			if err != nil || got.status != 200 || !strings.HasPrefix(got.body, "Hello from ") {
				a.bad = append(a.bad, fmt.Sprintf("%s %s: status %d, %v", method, host, got.status, err))
				continue
			}
			a.good++
		}
	})
	return a
}

func (a *always) stop() {
	a.t.Helper()
	close(a.quit)
	a.done.Wait()
	a.transport.CloseIdleConnections()
	if a.good == 0 || len(a.bad) > 0 {
		a.t.Errorf("%d good answers, and %d bad: %q", a.good, len(a.bad), a.bad)
	}
}

func upgradeKeepsState(t *testing.T, r *running) {
	s := r.site("subdomain1")
	var served int64
	for _, w := range s.Workers {
		served += w.Requests
	}
	if s.Requests.Total < 100 || served < s.Requests.Total || s.Requests.Errors != 0 || s.Preload != "on" {
		t.Errorf("%d requests, %d of them by its workers, %d errors, preload %s", s.Requests.Total, served, s.Requests.Errors, s.Preload)
	}
	if got := r.multisite("up"); got.code != 1 || !strings.Contains(got.stderr, fmt.Sprintf("multisite already runs for %s (pid %d)", filepath.Join(r.dir, ".multisite"), r.pid)) {
		t.Errorf("up: exit %d, %s", got.code, got.stderr)
	}
	if a := r.get(helloHost, "/"); a.status != 200 {
		t.Errorf("status %d", a.status)
	}
	r.wantLogged(`subdomain1/service.bot bot up`)
}

func upgradeThenKill(t *testing.T, r *running) {
	for _, site := range []string{"subdomain1", "hello"} {
		before := r.pids(site)
		victim := r.site(site).Workers[0]
		kill(t, victim.PID)
		eventually(t, "the worker to be replaced", func() bool {
			s := r.site(site)
			return s.State == "running" && s.Restarts == 1 && len(r.pids(site)) == len(before) && !r.pids(site)[victim.PID]
		})
		if got, want := r.site(site).LastExit, fmt.Sprintf("%s pid %d: crash, signal killed (9), after ", victim.ID, victim.PID); !strings.HasPrefix(got, want) {
			t.Errorf("got the end %q, want %q", got, want)
		}
	}
	bot := r.site("subdomain1").Services[0]
	kill(t, bot.PID)
	eventually(t, "the service to be started again", func() bool {
		now := r.site("subdomain1").Services[0]
		return now.State == "running" && now.PID != bot.PID && now.Restarts == bot.Restarts+1
	})
}

func upgradeThenScale(t *testing.T, r *running) {
	zygote := r.zygotePID("subdomain1")
	r.must("scale", "subdomain1", "5")
	r.must("scale", "hello", "1")
	r.upgrade()
	if s := r.site("subdomain1"); s.Processes.Ready != 5 || s.Processes.Desired != 5 || r.site("hello").Processes.Ready != 1 {
		t.Errorf("after scale and upgrade: %+v and %+v", s.Processes, r.site("hello").Processes)
	}
	if now := r.zygotePID("subdomain1"); now != zygote || zygote == 0 {
		t.Errorf("the zygote is process %d, was %d", now, zygote)
	}
	if got := r.site("hello").LastExit; !strings.Contains(got, ": scale, exit status 0, ") {
		t.Errorf("the last end of a worker: %q", got)
	}
}

func upgradeThenReload(t *testing.T, r *running) {
	if out := r.must("reload"); out != "nothing has changed\n" {
		t.Errorf("reload printed %q", out)
	}
	r.upgrade()
	before := r.pids("hello")
	r.rewrite("[site.hello]\n", "[site.hello]\nenv = { GREETING = \"hello\" }\n")
	if out := r.must("reload"); out != "hello: new workers, generation 2 (env changed)\n" {
		t.Errorf("reload printed %q", out)
	}
	for pid := range r.pids("hello") {
		if before[pid] {
			t.Errorf("worker %d has the old environment", pid)
		}
	}
	r.must("restart", "subdomain1")
	r.upgrade()
	if s := r.site("subdomain1"); s.Generation != 2 || s.State != "running" || !strings.Contains(s.LastExit, ": restart, exit status 0, ") {
		t.Errorf("generation %d is %s, the last end %q", s.Generation, s.State, s.LastExit)
	}
}

func upgradeBySignal(t *testing.T, r *running) {
	was := strings.Count(r.log.String(), "msg=upgraded ")
	if err := syscall.Kill(r.pid, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the line in the log", func() bool { return strings.Count(r.log.String(), "msg=upgraded ") == was+1 })
	if a := r.get(host1, "/hello/"); a.status != 200 {
		t.Errorf("status %d", a.status)
	}
}

// TestUpgrade_KilledAfterwards: the children of an upgraded supervisor die with it.
func TestUpgrade_KilledAfterwards(t *testing.T) {
	t.Parallel()
	sites := strings.Replace(upgradeSites, "echo bot up;", "sleep 1000 & echo bot up;", 1)
	r := newRunning(t, newDir(t, sites))
	build(t, "../../testdata/goapp", filepath.Join(r.dir, "goapp"))
	r.start()
	t.Cleanup(r.finish)
	r.upgrade()
	r.must("scale", "subdomain1", "4") // some workers are from before the upgrade, some from after it
	r.wantKilledClean(1)
}
