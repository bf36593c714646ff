package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/status"
)

// fakeSupervised notes what top asks for.
type fakeSupervised struct {
	sites  int
	log    string
	panics bool
	paused bool // the sites are

	mu    sync.Mutex // protects all below
	calls []string
	err   error
}

func (f *fakeSupervised) note(call string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
	return f.err
}

func (f *fakeSupervised) StatusWithin(context.Context, time.Duration) (status.Status, error) {
	if f.panics {
		panic("no more")
	}
	st := status.Status{Supervisor: status.Supervisor{PID: 7}}
	for i := range f.sites {
		st.Sites = append(st.Sites, status.Site{
			Name: fmt.Sprintf("a-site-with-a-long-name-%03d", i), State: "running", Processes: status.Processes{Desired: 2, Ready: 2},
			Memory: status.SiteMemory{Memory: status.Memory{PSS: 30 << 20}}, Requests: status.Requests{PerSecond: 1234.5, P50: 0.0123, P99: 1.5, LastHour: 12345},
			LastEvent: &status.Event{What: "request_timeout", At: time.Now()},
			Workers:   []status.Worker{{ID: "w/1", PID: 4711, State: "busy", Running: []status.Running{{What: "GET /slow"}}}},
		})
	}
	if f.paused {
		for i := range st.Sites {
			st.Sites[i].Paused = &status.Pause{}
		}
	}
	return st, nil
}

func (f *fakeSupervised) Scale(_ context.Context, s []control.Scale) error {
	return f.note(fmt.Sprintf("scale %s %d", s[0].Site, s[0].Processes))
}
func (f *fakeSupervised) Restart(_ context.Context, site string) error {
	return f.note("restart " + site)
}
func (f *fakeSupervised) Reload(_ context.Context, site string) (string, error) {
	return site + ": nothing has changed\n", f.note("reload " + site)
}
func (f *fakeSupervised) Pause(_ context.Context, site string, most time.Duration) (control.Paused, error) {
	f.paused = true
	return control.Paused{}, f.note(fmt.Sprintf("pause %s %v", site, most))
}
func (f *fakeSupervised) Resume(_ context.Context, site string) (control.Resumed, error) {
	return control.Resumed{}, f.note("resume " + site)
}
func (f *fakeSupervised) Logs(_ context.Context, q control.LogQuery, w io.Writer) error {
	_, err := io.WriteString(w, f.log)
	return errors.Join(err, f.note("logs "+q.Site))
}

// played is a top without a terminal.
type played struct {
	*top
	t *testing.T
}

func play(t *testing.T, f *fakeSupervised, width, height int) played {
	t.Helper()
	p := played{newTop(t.Context(), f), t}
	p.Update(tea.WindowSizeMsg{Width: width, Height: height})
	p.Update(p.look())
	return p
}

// keys presses keys and runs what they ask for.
func (p played) keys(keys ...string) {
	for _, key := range keys {
		if cmd := p.press(key); cmd != nil {
			p.Update(cmd())
		}
	}
}

var sgr = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// screen returns what is shown, and checks that it fits.
func (p played) screen() string {
	p.t.Helper()
	text := sgr.ReplaceAllString(p.View().Content, "")
	lines := strings.Split(text, "\n")
	if len(lines) != p.height {
		p.t.Errorf("%d lines on a terminal of %d:\n%s", len(lines), p.height, text)
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > p.width {
			p.t.Errorf("%d columns on a terminal of %d: %q", n, p.width, line)
		}
	}
	return text
}

func (p played) want(texts ...string) {
	p.t.Helper()
	got := p.screen()
	for _, text := range texts {
		if !strings.Contains(got, text) {
			p.t.Errorf("no %q in\n%s", text, got)
		}
	}
}

func TestTop_FitsEveryTerminal(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 10}, {80, 4}} {
		for _, sites := range []int{0, 1, 12, 200} {
			p := play(t, &fakeSupervised{sites: sites, log: strings.Repeat("x", 500) + "\n"}, size[0], size[1])
			for range 40 { // of history
				p.Update(p.look())
			}
			p.screen()
			if sites == 0 {
				continue
			}
			p.keys("end")
			p.want("› ", "a-site")
			p.keys("home", "enter")
			p.screen()
			p.keys("end", "pgdown")
			p.screen()
			p.keys("esc", "pgdown", "down")
			if at := p.selected(); at != min(sites-1, p.room()+1) {
				t.Errorf("%d of %d sites is selected", at, sites)
			}
			p.screen()
		}
	}
}

func TestTop_Commands(t *testing.T) {
	t.Parallel()
	f := &fakeSupervised{sites: 3}
	p := play(t, f, 120, 24)
	name := func(i int) string { return fmt.Sprintf("a-site-with-a-long-name-%03d", i) }
	p.keys("down", "+")
	p.want("scale " + name(1) + " to 3? y or n")
	p.keys("n", "-", "x")
	if len(f.calls) > 0 {
		t.Errorf("without a yes it did %q", f.calls)
	}
	p.keys("+", "y")
	p.want("scale " + name(1) + " to 3: done")
	f.err = &control.Error{Message: "no memory", Hint: "buy some"}
	p.keys("down", "R", "y")
	p.want("restart " + name(2) + " failed: no memory (buy some)")
	f.err = nil
	p.keys("up", "up", "r")
	p.want(name(0) + ": nothing has changed")
	p.keys("p")
	p.want("pause " + name(0) + " for at most 30s? y or n")
	p.keys("y")
	p.Update(p.look())
	p.keys("p")
	p.want("resume " + name(0) + ": done")
	if got, want := strings.Join(f.calls, ", "), "scale "+name(1)+" 3, restart "+name(2)+", reload "+name(0)+", pause "+name(0)+" 30s, resume "+name(0); got != want {
		t.Errorf("did %q, want %q", got, want)
	}
	p.keys("enter")
	p.want("4711", "busy", "GET /slow", "esc sites")
	f.sites = 0
	p.Update(p.look())
	p.screen()
}

// TestTop_Log: a log is followed in lines that fit, and one that is written too fast loses
// lines instead of holding up the supervisor.
func TestTop_Log(t *testing.T) {
	t.Parallel()
	f := &fakeSupervised{sites: 1, log: strings.Repeat("2026-01-02T03:04:05.678Z shop/1 hello\n", 3*tailKept) + "\x1b[2Jend\n"}
	p := play(t, f, 80, 24)
	batch := p.press("l")().(tea.BatchMsg)
	if msg := batch[0](); msg != nil { // all of it is written before anything is read
		t.Errorf("got %v", msg)
	}
	for msg := batch[1]().(logMsg); !msg.ended; msg = p.log.next().(logMsg) {
		p.Update(msg)
	}
	p.want("03:04:05 shop/1 hello")
	if len(p.logged) > tailKept {
		t.Errorf("%d lines are kept", len(p.logged))
	}
	if strings.Contains(p.View().Content, "\x1b[2J") {
		t.Error("a site's log clears the terminal")
	}
	p.keys("home")
	p.screen()
	p.keys("q")
	p.want("1 site: 1 running")
}

// TestTop_Panic: also then the terminal is left as it was.
func TestTop_Panic(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := runTop(t.Context(), &fakeSupervised{panics: true}, tea.WithInput(nil), tea.WithOutput(&out), tea.WithWindowSize(80, 24))
	if !errors.Is(err, tea.ErrProgramPanic) {
		t.Errorf("got %v", err)
	}
	if on, off := strings.LastIndex(out.String(), "\x1b[?1049h"), strings.LastIndex(out.String(), "\x1b[?1049l"); on >= 0 && off < on {
		t.Errorf("the other screen is left on: %q", out.String())
	}
}

// TestTop_InATerminal: a real terminal shows the sites, a key scales one, and SIGTERM leaves
// the terminal as it was.
func TestTop_InATerminal(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Fatal("this test needs tmux")
	}
	r := up(t, "listen = \"127.0.0.1:0\"\n[site.shop]\nserver_name = \"shop.localhost\"\nsettings = \"builtin:subdomain1\"\nprocesses = 1\n")
	dir := t.TempDir()
	tmux := func(args ...string) string {
		t.Helper()
		out, err := command(t, r.dir, "tmux", append([]string{"-S", filepath.Join(dir, "tmux"), "-f", "/dev/null"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	shows := func(pattern string) {
		t.Helper()
		re := regexp.MustCompile(pattern)
		eventually(t, "the terminal to show "+pattern, func() bool { return re.MatchString(tmux("capture-pane", "-p")) })
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	tmux("new-session", "-d", "-x", "80", "-y", "24",
		fmt.Sprintf("stty -a > %s; sh -c 'echo $$ > %s; exec multisite top'; stty -a > %s; echo left with $?; exec sleep 1000", path("before"), path("pid"), path("after")))
	t.Cleanup(func() { tmux("kill-server") })
	shows(`(?s)1 site: 1 running.*› +shop +running 1/1 .*enter workers`)
	tmux("send-keys", "+")
	shows(`scale shop to 2\? y or n`)
	tmux("send-keys", "y")
	shows(`shop +running 2/2 `)
	tmux("send-keys", "Enter")
	shows(`shop/2 `)
	b, err := os.ReadFile(path("pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	shows(`left with \d`)
	if pane := tmux("capture-pane", "-p"); strings.Contains(pane, "WORKERS") {
		t.Errorf("it has left something behind:\n%s", pane)
	}
	before, errBefore := os.ReadFile(path("before"))
	after, errAfter := os.ReadFile(path("after"))
	if err := errors.Join(errBefore, errAfter); err != nil || !bytes.Equal(before, after) {
		t.Errorf("before\n%s\nafter\n%s\n%v", before, after, err)
	}
}
