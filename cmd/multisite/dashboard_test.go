package main

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDashboard_Token: `multisite dashboard` gives the desktop a file that only its
// user can read. An upgrade keeps the token, and another start makes a new one.
func TestDashboard_Token(t *testing.T) {
	t.Parallel()
	r := up(t, "dashboard = \"127.0.0.1:0\"\n"+notifiedSites)
	desktop := newDesktop(t)
	address := desktop.dashboard(r)
	file := strings.TrimSpace(readFile(t, filepath.Join(desktop.dir, "opened")))
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || filepath.Dir(file) != desktop.dir {
		t.Errorf("the browser was given %q: %v, %v, want a file of 0600 in XDG_RUNTIME_DIR", file, info, err)
	}
	if page := readFile(t, file); !strings.Contains(page, "url="+address) {
		t.Errorf("the file leads elsewhere than to %s:\n%s", address, page)
	}
	r.upgrade()
	if again := desktop.dashboard(r); again != address {
		t.Errorf("after an upgrade the address is %s, want %s", again, address)
	}
	r.must("down")
	<-r.end.ch
	r.out, r.log = &screen{}, &screen{}
	r.start()
	if again := desktop.dashboard(r); again == address {
		t.Error("after another start the token is the same")
	}
}

// TestDashboard_NothingWithoutTheToken: another user of the machine, and a site that is
// made to send a request, get one line that says what to do.
func TestDashboard_NothingWithoutTheToken(t *testing.T) {
	t.Parallel()
	r := up(t, "dashboard = \"127.0.0.1:0\"\n"+notifiedSites)
	address, err := url.Parse(strings.TrimSpace(r.must("dashboard")))
	if err != nil {
		t.Fatal(err)
	}
	const want = "The dashboard needs a token: `multisite dashboard` opens it with one.\n"
	for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
		for _, path := range []string{"/", "/?token=x", "/x"} {
			resp, body := askPage(t, method, address.Port(), address.Host, path)
			if resp.StatusCode != 403 || method != "HEAD" && body != want || resp.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s: got %s %q", method, path, resp.Status, body)
			}
		}
	}
	resp, body := askPage(t, "GET", address.Port(), "rebound.example.com", "/?"+address.RawQuery)
	if resp.StatusCode != 421 || resp.Header.Get("Set-Cookie") != "" || strings.Contains(body, "subdomain1") {
		t.Errorf("a stranger's name: got %s %q", resp.Status, body)
	}
	if os.Geteuid() == 0 {
		open := newUsersDir(t, notifiedSites)
		if got := runAs(t, open, 4811, 4812, "-c", filepath.Join(r.dir, "sites.toml"), "dashboard"); got.code == 0 || strings.Contains(got.stdout+got.stderr, address.Query().Get("token")) {
			t.Errorf("another user: exit %d: %s%s", got.code, got.stdout, got.stderr)
		}
	}
}

// TestDashboard_ThereIsNone: the error says what to write into sites.toml.
func TestDashboard_ThereIsNone(t *testing.T) {
	t.Parallel()
	r := up(t, notifiedSites)
	want := "multisite: error: there is no dashboard\nmultisite: hint: write dashboard = \"127.0.0.1:8081\" in sites.toml, above the first [table]\n"
	if got := r.multisite("dashboard"); got.code != 1 || got.stdout != "" || got.stderr != want {
		t.Errorf("exit %d: %s%s", got.code, got.stdout, got.stderr)
	}
}

func askPage(t *testing.T, method, port, host, path string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://127.0.0.1:"+port+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// desktop is a desktop session whose xdg-open records what it is asked to open.
type desktop struct{ dir string }

func newDesktop(t *testing.T) desktop {
	t.Helper()
	d := desktop{t.TempDir()}
	script := "#!/bin/sh\necho \"$1\" > '" + d.dir + "/opened'\n"
	if err := os.WriteFile(filepath.Join(d.dir, "xdg-open"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return d
}

// dashboard returns the address that `multisite dashboard` prints there.
func (d desktop) dashboard(r *running) string {
	r.t.Helper()
	cmd := command(r.t, r.dir, "multisite", "dashboard")
	cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR="+d.dir, "DISPLAY=:0", "PATH="+d.dir+":"+os.Getenv("PATH"))
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
