package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/status"
)

// serviceSites is two sites with services. The service "fail" exits when the test says so.
const serviceSites = subdomain1 + `
processes = 1
env = { SECRET = "of one", MULTISITE_DB = "${DB}" }
[site.subdomain1.service.bot]
command = ["sh", "-c", "echo bot up; echo and running >&2; while [ ! -e fail ]; do sleep 0.05; done; rm fail; exit 7"]
[site.subdomain1.service.django]
command = "python3 -c 'import django.conf, os, time; print(django.conf.settings.SITE_ID, os.getcwd(), os.environ.get(\"SECRET\")); time.sleep(1000)'"
[site.subdomain1.service.stubborn]
command = ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"]
stop_timeout = "300ms"
[site.subdomain2]
server_name = "subdomain2.example.com"
settings = "subdomain2_settings"
processes = { min = 0, max = 1 }
[site.subdomain2.service.hopeless]
command = "false"
`

// TestService: processes beside the web workers, with the site's own settings.
// The parts share one supervisor and run in this order.
func TestService(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+serviceSites)
	r.parts(t, []part{
		{"runs as the site does", serviceRuns},
		{"is in status", serviceStatus},
		{"is started again when it ends", serviceEnds},
		{"ever later while it does not stay", serviceBacksOff},
		{"is new after a restart of its site", serviceRestarts},
		{"comes, changes and goes with a reload", serviceReloads},
		{"keeps running when a reload fails", serviceSurvives},
		{"goes with its site", serviceGoes},
	})
}

// service returns the status of one service of subdomain1.
func (r *running) service(name string) status.Service {
	r.t.Helper()
	for _, s := range r.site("subdomain1").Services {
		if s.Name == name {
			return s
		}
	}
	return status.Service{}
}

// waitLog waits until a site's log matches.
func (r *running) waitLog(site, pattern string) {
	r.t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	path := filepath.Join(r.dir, ".multisite", "logs", site+".log")
	eventually(r.t, "the log to match "+pattern, func() bool {
		b, err := os.ReadFile(path)
		return err == nil && re.Match(b)
	})
}

func serviceRuns(t *testing.T, r *running) {
	r.waitLog("subdomain1", ` subdomain1/service\.bot bot up$`)
	r.waitLog("subdomain1", ` subdomain1/service\.bot and running$`)
	r.waitLog("subdomain1", ` subdomain1/service\.stubborn deaf$`)
	home, err := filepath.EvalSymlinks(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	r.waitLog("subdomain1", ` subdomain1/service\.django 1 `+regexp.QuoteMeta(home)+` of one$`)
}

func serviceStatus(t *testing.T, r *running) {
	bot := r.service("bot")
	if bot.State != "running" || bot.PID == 0 || bot.Memory.USS <= 0 || bot.Restarts != 0 || bot.LastExit != "" {
		t.Errorf("got %+v", bot)
	}
	table := strings.Split(r.must("status", "subdomain1"), "\n")
	checkRow(t, table, "service.bot", "running", fmt.Sprint(bot.PID), "M ")
	r.waitSite("subdomain2", "sleeping") // which does not concern its service
}

func serviceEnds(t *testing.T, r *running) {
	before := r.service("bot")
	if err := os.WriteFile(filepath.Join(r.dir, "fail"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another process", func() bool {
		bot := r.service("bot")
		return bot.State == "running" && bot.PID != before.PID
	})
	want := fmt.Sprintf("pid %d: crash, exit status 7", before.PID)
	if bot := r.service("bot"); bot.Restarts != 1 || bot.LastExit != want {
		t.Errorf("got %+v, want %s", bot, want)
	}
	r.waitLog("subdomain1", fmt.Sprintf(`level=ERROR msg="service ended" service=subdomain1/service\.bot pid=%d reason=crash exit="exit status 7" age=`, before.PID))
	if !strings.Contains(r.must("status", "subdomain1"), "last exit: subdomain1/service.bot "+want) {
		t.Errorf("status does not tell:\n%s", r.must("status", "subdomain1"))
	}
}

func serviceBacksOff(t *testing.T, r *running) {
	eventually(t, "the service to get its time", func() bool {
		s := r.site("subdomain2").Services[0]
		return s.Restarts >= 4 && s.State == "waiting"
	})
	if s := r.site("subdomain2"); s.State != "sleeping" {
		t.Errorf("the site is %s: what a service does is nothing to it", s.State)
	}
}

func serviceRestarts(t *testing.T, r *running) {
	bot, stubborn, web := r.service("bot"), r.service("stubborn"), r.pids("subdomain1")
	r.must("restart", "subdomain1")
	if now := r.service("bot"); now.PID == bot.PID || now.State != "running" || now.Restarts != bot.Restarts {
		t.Errorf("before %+v, now %+v", bot, now)
	}
	for pid := range r.pids("subdomain1") {
		if web[pid] {
			t.Errorf("web worker %d is as old as before", pid)
		}
	}
	r.waitLog("subdomain1", fmt.Sprintf(`service=subdomain1/service\.bot pid=%d reason=restart exit="signal terminated \(15\)"`, bot.PID))
	r.waitLog("subdomain1", fmt.Sprintf(`service=subdomain1/service\.stubborn pid=%d reason=restart exit="signal killed \(9\)" age=\S+ limit=stop_timeout$`, stubborn.PID))
}

func serviceReloads(t *testing.T, r *running) {
	bot, django, web := r.service("bot"), r.service("django"), r.pids("subdomain1")
	r.edit(t, "bot up", "bot two")
	r.edit(t, "[site.subdomain1.service.stubborn]", "[site.subdomain1.service.other]")
	if got, want := r.must("reload"), "subdomain1: service changed, no worker restarted\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.waitLog("subdomain1", `service\.bot bot two$`)
	r.waitLog("subdomain1", `service\.other deaf$`)
	if now := r.service("bot"); now.PID == bot.PID || now.State != "running" {
		t.Errorf("bot before %+v, now %+v", bot, now)
	}
	if now := r.service("django"); now.PID != django.PID {
		t.Errorf("django changed from %d to %d", django.PID, now.PID)
	}
	r.waitLog("subdomain1", `service=subdomain1/service\.stubborn pid=\d+ reason=reload exit="signal killed \(9\)"`)
	if gone := r.service("stubborn"); gone.Name != "" {
		t.Errorf("status still has %+v", gone)
	}
	for pid := range r.pids("subdomain1") {
		if !web[pid] {
			t.Errorf("web worker %d is new", pid)
		}
	}
}

func serviceSurvives(t *testing.T, r *running) {
	bot := r.service("bot")
	r.edit(t, `settings = "subdomain1_settings"`, `settings = "no_such_settings"`)
	if got := r.multisite("reload"); got.code != 1 || !strings.Contains(got.stderr, "no_such_settings") {
		t.Errorf("exit %d\n%s", got.code, got.stderr)
	}
	if now := r.service("bot"); now != bot && now.PID != bot.PID {
		t.Errorf("before %+v, now %+v", bot, now)
	}
}

func serviceGoes(t *testing.T, r *running) {
	bot := r.service("bot")
	workers := r.pids("subdomain1")
	r.write(t, "sites.toml", pythonSites+"[site.subdomain2]\nserver_name = \"subdomain2.example.com\"\nsettings = \"subdomain2_settings\"\n")
	if got := r.must("reload"); !strings.Contains(got, "subdomain1: removed\n") {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", bot.PID)); err == nil {
		t.Errorf("service %d is still there", bot.PID)
	}
	r.waitLog("subdomain1", fmt.Sprintf(`service=subdomain1/service\.bot pid=%d reason=reload exit="signal terminated \(15\)"`, bot.PID))
	for pid := range workers {
		r.waitLog("subdomain1", fmt.Sprintf(`msg="worker ended" worker=subdomain1/1 pid=%d reason=reload exit=`, pid))
	}
}

// edit changes the sites.toml.
func (r *running) edit(t *testing.T, old, now string) {
	t.Helper()
	path := filepath.Join(r.dir, "sites.toml")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), old) {
		t.Fatalf("sites.toml has no %q", old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), old, now, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestService_CheckFindsAMissingProgram: check reports a service whose program is missing.
func TestService_CheckFindsAMissingProgram(t *testing.T) {
	t.Parallel()
	dir := newDir(t, pythonSites+subdomain1+"[site.subdomain1.service.bot]\ncommand = \"no-such-bot\"\n")
	got := runIn(t, dir, "check", "--no-import")
	want := regexp.MustCompile(`^multisite: error: sites\.toml:12: site\.subdomain1\.service\.bot\.command: there is no program "no-such-bot" in \S+/\.venv/bin or in PATH\n$`)
	if got.code != 2 || !want.MatchString(got.stderr) {
		t.Errorf("exit %d\n%s", got.code, got.stderr)
	}
}
