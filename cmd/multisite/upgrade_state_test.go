package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestUpgrade_EndlessRequest: an endless request is cut off after graceful_timeout and its
// worker replaced. A site that sleeps sleeps on.
func TestUpgrade_EndlessRequest(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+`graceful_timeout = "1s"
shutdown_timeout = "200ms"
processes = 1
`+subdomain1+`[site.sleeps]
server_name = "sleeps.example.com"
settings = "subdomain2_settings"
processes = { min = 0, max = 2 }
inactivity_timeout = "1s"
`)
	if a := r.get("sleeps.example.com", "/hello/"); a.status != 200 {
		t.Fatalf("status %d", a.status)
	}
	r.waitSite("sleeps", "sleeping")
	eventually(t, "the last worker to exit", func() bool { return len(r.site("sleeps").Workers) == 0 })
	zygote, victim := r.zygotePID("sleeps"), r.site("subdomain1").Workers[0].PID
	fmt.Fprintf(r.raw(), "GET /probe/sleep/?ms=600000 HTTP/1.1\r\nHost: %s\r\n\r\n", host1)
	eventually(t, "the worker to have the request", func() bool { return r.site("subdomain1").Requests.Active == 1 })
	start := time.Now()
	r.upgrade()
	if took := time.Since(start); took < time.Second || took > 20*time.Second {
		t.Errorf("the upgrade took %v, want the second that the request has, and not much more", took)
	}
	if a := r.get(host1, "/hello/"); a.status != 200 {
		t.Errorf("status %d", a.status)
	}
	eventually(t, "another worker", func() bool {
		s := r.site("subdomain1")
		return s.State == "running" && len(s.Workers) == 1 && s.Workers[0].PID != victim
	})
	if got, want := r.site("subdomain1").LastExit, fmt.Sprintf("subdomain1/1 pid %d: restart, ", victim); !strings.HasPrefix(got, want) {
		t.Errorf("the last end: %q, want %q", got, want)
	}
	r.wantLogged(`level=WARN msg="request cut by an upgrade" request="GET /probe/sleep/\?…"`)
	if s := r.site("sleeps"); s.State != "sleeping" || s.Preload != "on" || r.zygotePID("sleeps") != zygote {
		t.Errorf("the other site is %s, preload %s", s.State, s.Preload)
	}
	if a := r.get("sleeps.example.com", "/hello/"); a.status != 200 {
		t.Errorf("awake: status %d", a.status)
	}
}

// TestUpgrade_WhileItStarts: a site that is loading, and one that cannot be loaded.
func TestUpgrade_WhileItStarts(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+"processes = 1\ngraceful_timeout = \"1s\"\n"+subdomain1+`[site.broken]
server_name = "broken.example.com"
settings = "no_such_settings"
[site.alone]
server_name = "alone.example.com"
settings = "subdomain2_settings"
preload = false
processes = 2
`)
	alone := r.pids("alone")
	for range 3 {
		r.upgrade()
	}
	r.wantSame("alone", alone)
	if a := r.get("broken.example.com", "/"); a.status != 503 {
		t.Errorf("status %d, want 503", a.status)
	}
	if s := r.site("broken"); s.State != "failed" || !strings.Contains(s.LastError, "No module named 'no_such_settings'") {
		t.Errorf("the broken site is %s: %s", s.State, s.LastError)
	}
	r.rewrite("no_such_settings", "subdomain2_settings")
	if out := r.must("reload"); !strings.HasPrefix(out, "broken: new workers, ") {
		t.Errorf("reload printed %q", out)
	}
	if a := r.get("broken.example.com", "/hello/"); a.status != 200 {
		t.Errorf("status %d", a.status)
	}
	r.must("restart", "alone")
}

// TestUpgrade_Notify: the service manager is notified of a reload.
func TestUpgrade_Notify(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	r := &running{t: t, dir: newDir(t, notifiedSites), out: &screen{}, log: &screen{}, env: []string{"NOTIFY_SOCKET=" + m.path, "WATCHDOG_USEC=10000000"}}
	r.start()
	m.want("READY=1\nSTATUS=2 sites ready")
	for range 2 {
		r.upgrade()
		m.want(`RELOADING=1\nMONOTONIC_USEC=[0-9]+\nSTATUS=reloading`)
		m.want("READY=1\nSTATUS=2 sites ready")
	}
	r.finish()
	m.want("STOPPING=1\nSTATUS=letting requests in flight finish")
}

// TestUpgrade_Detached: a supervisor that was started by up -d is upgraded, too.
func TestUpgrade_Detached(t *testing.T) {
	t.Parallel()
	dir := newDir(t, notifiedSites)
	if got := runIn(t, dir, "up", "-d"); got.code != 0 {
		t.Fatalf("up -d: exit %d, %s", got.code, got.stderr)
	}
	for range 2 {
		if got := runIn(t, dir, "upgrade"); got.code != 0 || !upgraded.MatchString(got.stdout) {
			t.Errorf("upgrade: exit %d, %s%s", got.code, got.stdout, got.stderr)
		}
	}
	if got := runIn(t, dir, "down"); got.code != 0 {
		t.Errorf("down: exit %d, %s", got.code, got.stderr)
	}
	checkNothingLeft(t, dir)
}

// TestUpgrade_LogsAreFollowed: logs -f continues after an upgrade, until the supervisor stops.
func TestUpgrade_LogsAreFollowed(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, notifiedSites))
	r.start()
	lines := &screen{}
	cmd := command(t, r.dir, "multisite", "logs", "-f", "subdomain1")
	cmd.Stdout, cmd.Stderr = lines, lines
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first lines", func() bool { return strings.Contains(lines.String(), "worker ready") })
	for range 2 {
		r.upgrade()
	}
	eventually(t, "new lines", func() bool {
		r.must("restart", "subdomain1")
		return strings.Contains(lines.String(), "reason=restart")
	})
	r.must("down")
	if err := cmd.Wait(); err != nil {
		t.Errorf("logs -f: %v\n%s", err, lines.String())
	}
	r.checkEnd()
}
