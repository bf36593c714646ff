package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/control"
)

// TestProgress_OnATerminal: one line that is overwritten, and one that stays for each site
// that has got ready.
func TestProgress_OnATerminal(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := &progress{to: &display{w: &out, width: 40, terminal: true}, pending: map[string]bool{}}
	at := time.Now()
	slow := control.SiteProgress{Name: "slow", State: "starting", Desired: 2, For: "slow", Seconds: 12, Limit: 60}
	shop := control.SiteProgress{Name: "shop", State: "running", Ready: 1, Desired: 1, For: "2 of the requests of shop", Seconds: 3, Limit: 15}
	p.show(control.Progress{Sites: []control.SiteProgress{{Name: "quick", State: "running", Ready: 1, Desired: 1}, slow, shop}}, at)
	shop.For, shop.Seconds, shop.Limit, shop.Left = "shop/service.mail", 0, 0, 30
	p.show(control.Progress{Sites: []control.SiteProgress{shop}}, at)
	shop.For, slow.For, slow.State, slow.Problem = "", "", "failed", "no such thing"
	p.show(control.Progress{Sites: []control.SiteProgress{slow, shop}}, at)
	p.clear()
	const clear = "\r\x1b[K"
	want := "\rwaiting for slow (12 of 60 s), and for…\x1b[K" +
		"\rwaiting for shop/service.mail (at most…\x1b[K" +
		clear + "slow: failed: no such thing\nshop: 1 of 1 worker ready\n"
	if out.String() != want {
		t.Errorf("got\n%q\nwant\n%q", out.String(), want)
	}
}

// TestProgress_InALog: elsewhere a line is shown now and then, and nothing is overwritten.
func TestProgress_InALog(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := &progress{to: &display{w: &out, width: 80}, sites: []string{"slow"}, pending: map[string]bool{}, period: 10 * time.Second}
	at := time.Now()
	for i := range 25 {
		now := at.Add(time.Duration(i) * time.Second)
		p.show(control.Progress{Sites: []control.SiteProgress{
			{Name: "slow", For: "slow", Seconds: float64(i), Limit: 60}, {Name: "other", For: "other", Seconds: 50, Limit: 60},
		}}, now)
	}
	p.clear()
	if want := "waiting for slow (0 of 60 s)\nwaiting for slow (10 of 60 s)\nwaiting for slow (20 of 60 s)\n"; out.String() != want {
		t.Errorf("got\n%s", &out)
	}
}

const waitingSite = `
[site.slow]
server_name = "slow.localhost"
wsgi = "slow:application"
preload = false
processes = 1
`

// TestUp_InterruptedGoesOn: Ctrl-C in `up -d` says that the supervisor goes on, and it does.
func TestUp_InterruptedGoesOn(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, pythonSites+waitingSite))
	writeFile(t, filepath.Join(r.dir, "slow.py"), "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.05)\ndef application(environ, start):\n    start('200 OK', [])\n    return [b'here']\n")
	cmd := command(t, r.dir, "multisite", "up", "-d")
	cmd.Env = append(cmd.Env, "MULTISITE_PROGRESS=plain")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := ""
	for buffer := make([]byte, 1024); !strings.Contains(said, "waiting for slow"); {
		n, err := stderr.Read(buffer)
		if said += string(buffer[:n]); err != nil {
			t.Fatalf("%v after %q", err, said)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(stderr) // until it has exited
	_ = cmd.Wait()
	want := "multisite: error: interrupted; the sites go on starting in the background\nmultisite: hint: multisite status shows how far they are, multisite down stops them\n"
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.HasSuffix(said+string(rest), want) {
		t.Errorf("exit %d: %s", code, said+string(rest))
	}
	if err := os.WriteFile(filepath.Join(r.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the site to run", func() bool { return strings.Contains(runIn(t, r.dir, "status").stdout, "running 1/1") })
	if got := runIn(t, r.dir, "down"); got.code != 0 {
		t.Errorf("down: %+v", got)
	}
}
