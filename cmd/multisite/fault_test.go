package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The fault suite: faults that visitors must not notice. The short form counts bad answers;
// the long form, in which each TestFault_ runs alone on the machine, measures times
// too. All cases:
//
//	E1   a worker with one sibling is killed        TestFault_KillWithOneSibling
//	E2   reload and restart under a long request    TestFault_ReloadAndRestartUnseen
//	E3   one site hangs                             TestFault_OneSiteHangs
//	E4   request_timeout                            TestFault_RequestTimeout, TestFault_RequestTimeoutOfAGoWorker
//	E5   queue_timeout, listen_backlog              TestFault_Queue, TestQueue_IsExact
//	E6   maximum_requests                           TestFault_Recycle/maximum_requests
//	E7   a leak: memory_limit, memory_limit_hard    TestFault_Recycle/memory_limit, TestReasons_StandWhereOneLooks/oom
//	E8   one broken site at boot                    TestScripts/broken_site, TestStart_OneThatHangsHoldsUpNone
//	E9   code that does not load is repaired        TestScripts/broken_site
//	E10  a worker dies in its answer                TestAnswers_CutWithTheWorker
//	E11  upgrades                                   TestFault_Upgrade
//	E12  the disk is full                           TestFault_DiskFull
//	E13  a worker that takes all it can get         TestFault_GreedyWorker
//	E14  a random walk                              TestFault_RandomWalk
//	E15  requests of all kinds at once              TestFault_MixedTraffic
func longForm() bool { return os.Getenv("MULTISITE_LONG") != "" }

// measurable makes r run a multisite whose memory and speed can be measured, in the long
// form one without the race detector. It returns false if there is none.
func (r *running) measurable() bool {
	if raceDetector && longForm() {
		r.program = filepath.Join(r.dir, "multisite")
		build(r.t, ".", r.program)
	}
	return !raceDetector || longForm()
}

// TestFault_KillWithOneSibling (E1) kills one of two workers after the other.
func TestFault_KillWithOneSibling(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+"processes = 2\n"+subdomain1)
	const connections = 8
	kills := 3
	if longForm() {
		kills = 20
	}
	load := r.startLoad(host1, connections, "", "/hello/", "/probe/sleep/?ms=20")
	for n := range kills {
		kill(t, r.busyWorker("subdomain1"))
		r.recovered("subdomain1", n+1, connections)
	}
	got := load.stop()
	if slowest := got.percentile(100); longForm() && slowest > time.Second {
		t.Errorf("the slowest answer took %v, want none over 1s", slowest)
	}
}

// recovered waits until a site has replaced so many dead workers and each connection has
// had two answers since. A request is repeated once, so the next kill must not hit it again.
func (r *running) recovered(site string, deaths, connections int) {
	r.t.Helper()
	before := r.site(site).Requests.Total
	eventually(r.t, "the worker to be replaced", func() bool {
		s := r.site(site)
		return s.Restarts == deaths && s.Processes.Ready == s.Processes.Desired && s.Requests.Total > before+2*int64(connections)
	})
}

// TestFault_ReloadAndRestartUnseen (E2): a long request finishes, and clients with
// keep-alive connections notice nothing.
func TestFault_ReloadAndRestartUnseen(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+"processes = 4\nthreads = 4\nshutdown_timeout = \"1s\"\n"+subdomain1)
	const clients = 16
	long, quiet := 3*time.Second, 0*time.Second
	if longForm() {
		long, quiet = 12*time.Second, 5*time.Second
	}
	load := r.startLoad(host1, clients, "slept", "/probe/sleep/?ms=40")
	for _, what := range []string{"reload", "restart"} {
		<-time.After(quiet) // seconds to compare with
		before := r.pids("subdomain1")
		finished := r.longRequest(long)
		writeFile(t, filepath.Join(r.dir, "new.py"), "") // a change that restart does not look at
		r.must(what, "subdomain1")
		if took, cut := finished(); cut != "" || took < long {
			t.Errorf("%s: the long request ended after %v: %s", what, took, cut)
		}
		for pid := range r.pids("subdomain1") {
			if before[pid] {
				t.Errorf("%s: worker %d is still there", what, pid)
			}
		}
	}
	<-time.After(quiet)
	got := load.stop()
	if log := r.siteLog("subdomain1"); strings.Contains(log, "request repeated") {
		t.Errorf("a request was cut off, and repeated:\n%s", log)
	}
	if got.Dials != clients {
		t.Errorf("%d connections were made for %d clients, want that each is kept", got.Dials, clients)
	}
	counts := got.perSecond()
	median := slices.Sorted(slices.Values(counts))[len(counts)/2]
	t.Logf("answers in each second, %d the median: %v", median, counts)
	if least := slices.Min(counts); longForm() && least < median/2 {
		t.Errorf("%d answers in one second, want at least half of the median, %d: %v", least, median, counts)
	}
}

// longRequest starts a request and returns when a worker has it. finished returns
// how long it took, and what was wrong with its answer.
func (r *running) longRequest(takes time.Duration) (finished func() (time.Duration, string)) {
	r.t.Helper()
	path := fmt.Sprintf("/probe/sleep/?ms=%d", takes.Milliseconds())
	served := r.site("subdomain1").Requests.Total
	type end struct {
		took  time.Duration
		wrong string
	}
	ch := make(chan end, 1)
	go func() {
		start := time.Now()
		a, err := r.newVisitor().do(newRequest(r.t, http.MethodGet, host1, path, nil))
		wrong := ""
		if err != nil || a.status != 200 || !strings.HasPrefix(a.body, "slept") {
			wrong = fmt.Sprintf("status %d, %v", a.status, err)
		}
		ch <- end{time.Since(start), wrong}
	}()
	eventually(r.t, "others to be answered meanwhile", func() bool { return r.site("subdomain1").Requests.Total > served+50 })
	return func() (time.Duration, string) {
		e := <-ch
		return e.took, e.wrong
	}
}

// TestFault_OneSiteHangs (E3): two hundred clients wait for one site, and another site is as
// fast as before.
func TestFault_OneSiteHangs(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+`graceful_timeout = "1s"
shutdown_timeout = "200ms"
[site.hangs]
server_name = "hangs.example.com"
settings = "subdomain1_settings"
processes = 1
listen_backlog = 500
`+subdomain1+"processes = 2\n")
	const waiting = 200
	measured := time.Second
	if longForm() {
		measured = 6 * time.Second
	}
	measure := func() loaded {
		load := r.startLoad(host1, 4, "Subdomain One", "/hello/")
		<-time.After(measured)
		return load.stop()
	}
	quiet := measure()
	for range waiting {
		fmt.Fprint(r.raw(), "GET /probe/sleep/?ms=600000 HTTP/1.1\r\nHost: hangs.example.com\r\n\r\n")
	}
	held := func() bool {
		q := r.site("hangs").Requests
		return q.Active == 1 && q.Queued == waiting-1
	}
	eventually(t, "all to wait", held)
	beside := measure()
	if !held() {
		t.Errorf("they wait no more: %+v", r.site("hangs").Requests)
	}
	before, now := quiet.percentile(99), beside.percentile(99)
	t.Logf("99%% answered in %v, beside a site that hangs %v", before, now)
	if longForm() && now > 2*before {
		t.Errorf("99%% answered in %v, want at most twice %v", now, before)
	}
}
