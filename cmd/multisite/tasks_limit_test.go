package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/multisite/multisite/worker/account"
)

const tasksSites = `
listen = "127.0.0.1:0"
[defaults]
python_home = "${PYTHON}"
home = "code"
user = "4951"
group = "4952"
tasks_limit = 900
[site.forked]
server_name = "forked.example.com"
wsgi = "whoami:application"
processes = 2
[site.forked.service.helper]
command = ["sleep", "1000"]
[site.program]
server_name = "program.example.com"
app = "goapp"
`

// TestTasksLimit_ChangesLive: a change restarts no worker. New workers have the new limit,
// even if the kernel does not let us change that of the others (CAP_SYS_RESOURCE).
func TestTasksLimit_ChangesLive(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newUsersDir(t, tasksSites))
	build(t, "../../testdata/goapp", filepath.Join(r.dir, "goapp"))
	r.start()
	t.Cleanup(r.finish)
	old := map[int]bool{r.site("forked").Services[0].PID: true}
	for _, site := range []string{"forked", "program"} {
		for pid := range r.pids(site) {
			old[pid] = true
		}
	}
	wantTasks := func(pid int, want string) {
		t.Helper()
		tasks := regexp.MustCompile(`Max processes +(\S+) +(\S+) `).FindStringSubmatch(readFile(t, fmt.Sprintf("/proc/%d/limits", pid)))
		if tasks == nil || tasks[1] != want || tasks[2] != want {
			t.Errorf("process %d: %q, want %s", pid, tasks, want)
		}
	}
	for pid := range old {
		wantTasks(pid, "900")
	}
	for _, limit := range []string{"800", "1000"} {
		r.rewrite("tasks_limit = "+lastLimit(t, r), "tasks_limit = "+limit)
		r.wantReload("forked: tasks_limit changed, no worker restarted\nprogram: tasks_limit changed, no worker restarted\n")
		r.must("scale", "forked=2", "program=1")
		r.must("scale", "forked=3", "program=2")
		changed := !strings.Contains(r.log.String(), "it takes CAP_SYS_RESOURCE")
		for _, site := range []string{"forked", "program"} {
			now := r.pids(site)
			for pid := range now {
				if !old[pid] || changed {
					wantTasks(pid, limit)
				}
			}
		}
		for pid := range old {
			if syscall.Kill(pid, 0) != nil {
				t.Errorf("process %d is gone", pid)
			}
		}
	}
	r.must("restart", "forked")
	wantTasks(r.site("forked").Services[0].PID, "1000")
}

// lastLimit is the limit that sites.toml has now.
func lastLimit(t *testing.T, r *running) string {
	t.Helper()
	return regexp.MustCompile(`tasks_limit = (\d+)`).FindStringSubmatch(readFile(t, filepath.Join(r.dir, "sites.toml")))[1]
}

const limitedScript = `
import resource
if resource.getrlimit(resource.RLIMIT_NPROC)[0] != 1234:
    raise RuntimeError("%r" % (resource.getrlimit(resource.RLIMIT_NPROC),))
def application(environ, start_response):
    pass
`

// TestTasksLimit_OfOurselves: a supervisor that runs as the site's user needs no root for it.
func TestTasksLimit_OfOurselves(t *testing.T) {
	t.Parallel()
	dir := newUsersDir(t, strings.Replace(userSite, "wsgi = ", "tasks_limit = 1234\nwsgi = ", 1))
	chmod(t, filepath.Join(dir, "sites.toml"), 0o644)
	chmod(t, filepath.Join(dir, "secret.env"), 0o644)
	path := filepath.Join(dir, "code", "whoami.py")
	writeFile(t, path, limitedScript)
	a := account.Account{UID: 4711, GID: 4712}
	var said bytes.Buffer
	cmd := command(t, dir, programForAll(t, dir), "check")
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = &said, &said, &syscall.SysProcAttr{Credential: a.Credential()}
	if err := cmd.Run(); err != nil {
		t.Errorf("%v\n%s", err, &said)
	}
}
