package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// greedySites is a site that takes whatever it can get, as a user of its own, and one that
// must not be affected.
const greedySites = pythonSites + subdomain1 + `processes = 2
[site.greedy]
server_name = "greedy.example.com"
python_home = "${PYTHON}"
python_path = []
env = {}
home = "code"
wsgi = "greedy:application"
user = "4911"
group = "4912"
tasks_limit = 60
shutdown_timeout = "1s"
`

const greedyScript = `
import os, sys, time

kept = []

def forks():
    for made in range(200):  # what is left of the machine if nothing refused it
        try:
            child = os.fork()
        except BlockingIOError:
            return b"refused after %d\n" % made
        if child == 0:
            time.sleep(1000)
            os._exit(0)
    return b"not refused\n"

def files():
    try:
        while len(kept) < 100000:
            kept.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as e:
        return b"%d opened, then %s\n" % (len(kept), e.strerror.encode())
    return b"not refused\n"

def lines():
    end = time.monotonic() + 3
    said = 0
    while time.monotonic() < end:
        sys.stdout.write("".join("flood %07d of lines that nobody reads, and more\n" % n for n in range(said, said + 1000)))
        sys.stdout.flush()
        said += 1000
    return b"%d lines\n" % said

def application(environ, start_response):
    what = {"/forks": forks, "/files": files, "/lines": lines}.get(environ["PATH_INFO"], lambda: b"here\n")
    body = what()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
`

// TestFault_GreedyWorker (E13): whatever one worker takes, other sites are not affected.
func TestFault_GreedyWorker(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newUsersDir(t, "log_max_size = \"1MB\"\nlog_keep = 2\n"+greedySites))
	r.write(t, "code/greedy.py", greedyScript)
	if err := os.Chmod(filepath.Join(r.dir, "code/greedy.py"), 0o644); err != nil {
		t.Fatal(err)
	}
	measured := r.measurable()
	r.start()
	t.Cleanup(func() { endIgnoringErrors(r) })
	var undisturbed time.Duration
	if longForm() {
		undisturbed = r.undisturbed()
	}
	for _, part := range []struct {
		name string
		test func(*testing.T, *running)
	}{
		{"it forks without end", greedyForks},
		{"it opens files without end", greedyFiles},
		{"it logs without end", func(t *testing.T, r *running) { greedyLines(t, r, measured) }},
	} {
		t.Run(part.name, func(t *testing.T) {
			r := r.in(t)
			load := r.startLoad(host1, 4, "Subdomain One", "/hello/")
			part.test(t, r)
			if longForm() {
				<-time.After(2 * time.Second) // others are served meanwhile
			}
			slow := load.stop().percentile(99)
			t.Logf("99%% of another site's answers came in %v, before in %v", slow, undisturbed)
			if most := 5*undisturbed + 50*time.Millisecond; longForm() && slow > most {
				t.Errorf("99%% of another site's answers came in %v, want at most %v", slow, most)
			}
			r.must("restart", "greedy")
			if a := r.askSite("greedy", "/"); a.status != 200 || a.body != "here\n" {
				t.Errorf("the greedy site itself, restarted: status %d\n%s", a.status, a.body)
			}
			if n := r.tasksOf("4911"); n > 10 {
				t.Errorf("%d processes and threads of its user are left", n)
			}
		})
	}
}

// undisturbed returns the 99th percentile of another site's answers when no worker is greedy.
func (r *running) undisturbed() time.Duration {
	load := r.startLoad(host1, 4, "Subdomain One", "/hello/")
	<-time.After(2 * time.Second) // measured for comparison
	return load.stop().percentile(99)
}

func greedyForks(t *testing.T, r *running) {
	a := r.askSite("greedy", "/forks")
	if a.status != 200 || !strings.HasPrefix(a.body, "refused after ") {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	if n := r.tasksOf("4911"); n < 40 || n > 60 {
		t.Errorf("its user has %d processes and threads, want as many as it may, 60", n)
	}
	before := r.pids("subdomain1")
	kill(t, r.busyWorker("subdomain1"))
	eventually(t, "another site to get a new worker", func() bool {
		now := r.pids("subdomain1")
		return r.site("subdomain1").State == "running" && len(now) == 2 && fmt.Sprint(now) != fmt.Sprint(before)
	})
}

func greedyFiles(t *testing.T, r *running) {
	if a := r.askSite("greedy", "/files"); a.status != 200 || !strings.Contains(a.body, "Too many open files") {
		t.Errorf("status %d: %s", a.status, a.body)
	}
	r.get(host1, "/probe/file/") // another site opens one
}

// greedyLines: a follower of another site's log misses nothing, the disk does not fill,
// and the supervisor does not grow.
func greedyLines(t *testing.T, r *running, measured bool) {
	before := r.memory().PSS
	flood := make(chan answer, 1)
	go func() {
		a, err := r.newVisitor().do(newRequest(t, http.MethodGet, hostOf("greedy"), "/lines", nil))
		if err != nil {
			t.Error(err)
		}
		flood <- a
	}()
	said := 0
	for done := false; !done; {
		select {
		case a := <-flood:
			lines, _ := strconv.Atoi(strings.TrimSuffix(a.body, " lines\n")) // else 0
			t.Logf("%d lines in 3s", lines)
			if lines < 30_000 && measured {
				t.Errorf("status %d, %q: no flood of 10,000 lines a second", a.status, a.body)
			}
			done = true
		case <-time.After(100 * time.Millisecond):
			r.get(host1, fmt.Sprintf("/probe/say/?text=other%d", said))
			said++
		}
	}
	for n := range said {
		line := fmt.Sprintf("stdout: other%d\n", n)
		eventually(t, "the other site's log to say "+line, func() bool { return strings.Contains(r.siteLog("subdomain1"), line) })
	}
	var files []string
	eventually(t, "the flood's log to be one file and two old ones", func() bool { // between two renames there are fewer
		files, _ = filepath.Glob(filepath.Join(r.dir, ".multisite/logs/greedy.log*")) // the pattern is valid
		return len(files) == 3
	})
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Size() > 1_000_000+70_000 {
			t.Errorf("%s: %v, %v, want at most 1 MB and a line", file, info.Size(), err)
		}
	}
	if grown := r.memory().PSS - before; grown > 30<<20 && measured {
		t.Errorf("the supervisor has grown by %d MB", grown>>20)
	}
}

// tasksOf returns the number of processes and threads of a user.
func (r *running) tasksOf(uid string) (n int) {
	r.t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/task/*/status")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, file := range files {
		b, _ := os.ReadFile(file) // empty if the process has just exited
		if strings.Contains(string(b), "\nUid:\t"+uid+"\t") && !strings.Contains(string(b), "State:\tZ") {
			n++
		}
	}
	return n
}
