package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor"
	"github.com/multisite/multisite/supervisor/control"
)

// stranger is a program that understands another version of the handover.
func stranger() {
	if err := json.NewEncoder(os.Stdout).Encode(supervisor.Takeover{Handover: 1000, Version: "v99"}); err != nil {
		panic(err)
	}
}

// crasher is a program that exits at once.
func crasher() { panic("at once") }

// vanisher is a program that can take over, but is gone when it is to be run.
func vanisher() {
	code := run(context.Background(), os.Args[1:])
	program, err := os.Executable() // a copy is run, not the file itself
	if err == nil {
		err = os.Chmod(program, 0o600)
	}
	if err != nil {
		panic(err)
	}
	os.Exit(code)
}

// TestUpgrade_ExecFails: execve fails in the last moment, and everything continues as before.
func TestUpgrade_ExecFails(t *testing.T) {
	t.Parallel()
	r := upgradable(t)
	program := filepath.Join(r.dir, "vanisher")
	b, err := os.ReadFile(lookPath(t, "vanisher"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, b, 0o700); err != nil {
		t.Fatal(err)
	}
	r.upgrade() // what was inherited is passed on again
	before := r.possessions()
	const clients = 4
	load := r.startLoad(host1, clients, "", "/hello/", "/probe/sleep/?ms=20")
	for range 3 {
		if err := os.Chmod(program, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err = control.NewClient(filepath.Join(r.dir, ".multisite")).Upgrade(t.Context(), program)
		if want := program + " cannot take over: permission denied; nothing has changed"; err == nil || err.Error() != want {
			t.Fatalf("got  %v\nwant %s", err, want)
		}
		if now := r.possessions(); !maps.Equal(now, before) {
			t.Fatalf("processes\n%v\nwere\n%v", now, before)
		}
	}
	r.must("scale", "subdomain1", "4")
	r.must("scale", "hello", "1")
	kill(t, r.site("subdomain1").Services[0].PID)
	eventually(t, "the service to be started again", func() bool {
		s := r.site("subdomain1").Services[0]
		return s.State == "running" && s.Restarts == 1
	})
	r.upgrade()
	if got := load.stop(); got.Dials != clients {
		t.Errorf("%d connections were made for %d clients, want that each is kept", got.Dials, clients)
	}
	if got := r.site("hello").LastExit; !strings.Contains(got, ": scale, exit status 0, ") {
		t.Errorf("the last end of a worker: %q", got)
	}
}

// TestUpgrade_Refused: a program that cannot take over is refused with one line, and nothing
// changes.
func TestUpgrade_Refused(t *testing.T) {
	t.Parallel()
	r := up(t, "dashboard = \"127.0.0.1:0\"\n"+pythonSites+"processes = 1\n"+subdomain1)
	sites := filepath.Join(r.dir, "sites.toml")
	good, err := os.ReadFile(sites)
	if err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(r.dir, "text")
	if err := os.WriteFile(text, []byte("not a program"), 0o700); err != nil {
		t.Fatal(err)
	}
	before, descriptors := r.possessions(), len(r.descriptors())
	for _, test := range []struct {
		name, program string
		sites         func(string) string
		want          string // follows the name of the program
	}{
		{"no file", filepath.Join(r.dir, "none"), nil, "no such file or directory"},
		{"not executable", sites, nil, "permission denied"},
		{"a directory", r.dir, nil, "permission denied"},
		{"not a program", text, nil, "exec format error"},
		{"another program", lookPath(t, "true"), nil, "it is not a multisite that knows how"},
		{"one that crashes", lookPath(t, "crasher"), nil, "exit status 2"},
		{"another version", lookPath(t, "stranger"), nil, "it understands version 1000 of the handover, this is version 1"},
		{"a mistake in sites.toml", lookPath(t, "multisite"), func(s string) string { return s + "\nproceses = 1\n" },
			sites + `:14: unknown key "site.subdomain1.proceses"`},
		{"another address", lookPath(t, "multisite"), func(s string) string {
			return strings.Replace(s, `"127.0.0.1:0"`+"\n[def", `"127.0.0.1:1"`+"\n[def", 1)
		},
			"listen has changed in sites.toml"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := r.in(t)
			if test.sites != nil {
				rewriteFile(t, sites, test.sites(string(good)))
				defer rewriteFile(t, sites, string(good))
			}
			_, err := control.NewClient(filepath.Join(r.dir, ".multisite")).Upgrade(t.Context(), test.program)
			want := fmt.Sprintf("%s cannot take over: %s; nothing has changed", test.program, test.want)
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if now := r.possessions(); !maps.Equal(now, before) {
				t.Errorf("processes %v, were %v", now, before)
			}
			if a := r.get(host1, "/hello/"); a.status != 200 {
				t.Errorf("status %d", a.status)
			}
		})
	}
	if now := len(r.descriptors()); now > descriptors+3 { // connections to the worker and from visitors
		t.Errorf("%d descriptors, were %d", now, descriptors)
	}
	got := r.multisite("upgrade", "now")
	if got.code != 2 || !strings.Contains(got.stderr, "upgrade takes no argument, not 1") {
		t.Errorf("exit %d, %s", got.code, got.stderr)
	}
	r.upgrade() // a program that can take over does
}

func rewriteFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func lookPath(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestUpgrade_AppliesSitesToml: the new program applies sites.toml as it is by then.
func TestUpgrade_AppliesSitesToml(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+"processes = 1\n"+subdomain1+"[site.gone]\nserver_name = \"gone.example.com\"\nsettings = \"subdomain2_settings\"\n")
	old := r.pids("subdomain1")
	r.rewrite("[site.gone]\nserver_name = \"gone.example.com\"\n", "[site.new]\nserver_name = \"new.example.com\"\n")
	r.rewrite("[site.subdomain1]\n", "[site.subdomain1]\nenv = { MULTISITE_DB = \"${DB}\", GREETING = \"hello\" }\n")
	r.upgrade()
	eventually(t, "workers with the new environment", func() bool {
		s := r.site("subdomain1")
		return s.State == "running" && len(s.Workers) == 1 && !old[s.Workers[0].PID] && s.Generation == 2
	})
	eventually(t, "the new site", func() bool { return r.get("new.example.com", "/hello/").status == 200 })
	if a := r.get("gone.example.com", "/hello/"); a.status != 421 {
		t.Errorf("the removed site: status %d, want 421", a.status)
	}
	eventually(t, "the processes of the removed site to exit", func() bool {
		for _, c := range children(t, r.pid) {
			if strings.Contains(c.name, "gone") {
				return false
			}
		}
		return true
	})
	if out := r.must("reload"); out != "nothing has changed\n" {
		t.Errorf("reload printed %q", out)
	}
}

// TestUpgrade_NobodyRuns: the error is the same as that of other commands.
func TestUpgrade_NobodyRuns(t *testing.T) {
	t.Parallel()
	got := runIn(t, newDir(t, pythonSites+subdomain1), "upgrade")
	if want := "multisite: error: no supervisor is running for sites.toml\nmultisite: hint: start one with multisite up -d\n"; got.code != 1 || got.stderr != want {
		t.Errorf("exit %d, %q", got.code, got.stderr)
	}
}
