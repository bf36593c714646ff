package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestDashboard_InABrowser: `multisite dashboard` hands the desktop a file that only
// its user can read, which leads a real browser to the page, and so does the address
// that it prints. An upgrade keeps the token, a start does not.
func TestDashboard_InABrowser(t *testing.T) {
	t.Parallel()
	r := up(t, "dashboard = \"127.0.0.1:0\"\n"+notifiedSites)
	desktop := newDesktop(t)
	address := desktop.dashboard(r)
	file := strings.TrimSpace(readFile(t, filepath.Join(desktop.dir, "opened")))
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || filepath.Dir(file) != desktop.dir {
		t.Errorf("the browser was given %q: %v, %v, want a file of 0600 in XDG_RUNTIME_DIR", file, info, err)
	}
	b := newBrowser(t)
	for _, from := range []string{"file://" + file, address} {
		b.open(from)
		b.see("h1", "multisite")
		b.see("main", "subdomain1")
		if got := b.evaluate("location.pathname + location.search"); got != "/" {
			t.Errorf("from %s the address is %s, want no token in it", from, got)
		}
		if got := b.evaluate("document.cookie"); got != "" {
			t.Errorf("a script reads the cookie: %q", got)
		}
	}
	r.upgrade()
	b.open(strings.Split(address, "?")[0])
	b.see("main", "subdomain1")
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

// TestDashboard_NothingWithoutTheToken: another user of the machine, and a site that
// is made to send a request, get one line that says how it is right.
func TestDashboard_NothingWithoutTheToken(t *testing.T) {
	t.Parallel()
	r := up(t, "dashboard = \"127.0.0.1:0\"\n"+notifiedSites)
	address, err := url.Parse(strings.TrimSpace(r.must("dashboard")))
	if err != nil {
		t.Fatal(err)
	}
	const want = "The dashboard asks for a token: `multisite dashboard` opens it.\n"
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

// TestDashboard_ThereIsNone says what to write.
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

// desktop is a session whose xdg-open writes down what it is to open.
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

// browser is a real one.
type browser struct {
	t   testing.TB
	ctx context.Context
}

func newBrowser(t testing.TB) browser {
	t.Helper()
	names := []string{"chromium", "chromium-browser", "google-chrome"}
	found := slices.IndexFunc(names, func(name string) bool {
		_, err := exec.LookPath(name)
		return err == nil
	})
	if found < 0 {
		t.Fatal("this test needs a browser: apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(names[found]), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancelBrowser := chromedp.NewContext(ctx)
	ctx, cancelTime := context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(func() {
		cancelTime()
		_ = chromedp.Cancel(ctx) // waits until the browser has ended
		cancelBrowser()
		cancelAllocator()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", names[found], err)
	}
	return browser{t, ctx}
}

func (b browser) open(address string) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Navigate(address)); err != nil {
		b.t.Fatalf("open %s: %v", address, err)
	}
}

// see waits until an element has a text: one page may lead to another.
func (b browser) see(where, what string) {
	b.t.Helper()
	eventually(b.t, "the browser to show "+what, func() bool {
		return strings.Contains(b.evaluate(fmt.Sprintf("document.querySelector(%q)?.innerText ?? ''", where)), what)
	})
}

// evaluate returns "" while one page makes place for another.
func (b browser) evaluate(script string) string {
	text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](script))
	return text
}
