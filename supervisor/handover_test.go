package supervisor

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/config"
)

// TestOtherThan: only what new workers would heed, and both sides know, counts.
func TestOtherThan(t *testing.T) {
	t.Parallel()
	base := config.Site{Name: "shop", Kind: config.WSGI, Threads: 1, Env: map[string]string{"A": "1"}}
	for _, test := range []struct {
		name, want string
		change     func(*config.Site)
	}{
		{"nothing", "", func(*config.Site) {}},
		{"a live key", "", func(c *config.Site) { c.ServerName, c.Processes = "shop.example.com", config.Range{Min: 2, Max: 3} }},
		{"environment", "env", func(c *config.Site) { c.Env = map[string]string{"A": "2"} }},
		{"threads", "threads", func(c *config.Site) { c.Threads = 2 }},
		{"settings", "settings", func(c *config.Site) { c.Settings = "shop.settings" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			now := base
			test.change(&now)
			if got := otherThan(builtWith(&base), builtWith(&now)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	goSite := base
	goSite.Kind = config.App
	left, more := builtWith(&goSite), goSite
	more.Threads = 2
	if got := otherThan(left, builtWith(&more)); got != "" {
		t.Errorf("threads of a Go site, which its program is not told: %q", got)
	}
	older := builtWith(&base)
	delete(older, "threads")
	if got := otherThan(older, builtWith(&base)); got != "" {
		t.Errorf("a key that the older version did not know: %q", got)
	}
}

// TestTreeOf: code that was summed by another process is told from what has changed.
func TestTreeOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "urls.py")
	if err := os.WriteFile(file, []byte("a = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &config.Site{Kind: config.WSGI, Python: "/usr/bin/python3", Home: dir}
	look := func() codeTree { return (&codeLook{found: map[place]*codePart{}}).tree(c) }
	left := treeOf(look().sums())
	if !look().equal(left) || !left.equal(look()) {
		t.Error("the same code is not equal to its sum")
	}
	if err := os.WriteFile(file, []byte("a = 1000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if look().equal(left) {
		t.Error("code that has changed is equal to the sum of before")
	}
}

// TestGate: who comes while it is shut waits, and is served then.
func TestGate(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(l)
	begun, finish := make(chan struct{}), make(chan struct{})
	server := &http.Server{ConnState: g.connState, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			close(begun)
			<-finish
		}
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(g) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) <-chan error {
		answer := make(chan error, 1)
		go func() {
			resp, err := client.Get("http://" + l.Addr().String() + path)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
			}
			answer <- err
		}()
		return answer
	}
	long := get("/long")
	<-begun
	g.shut()
	waiting := get("/")
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	g.settled(short, 0)
	if short.Err() == nil {
		t.Error("it has settled with a request under way")
	}
	close(finish)
	g.settled(t.Context(), 0)
	if err := <-long; err != nil {
		t.Error(err)
	}
	select {
	case err := <-waiting:
		t.Errorf("an answer through a gate that is shut: %v", err)
	default:
	}
	g.reopen()
	if err := <-waiting; err != nil {
		t.Error(err)
	}
	g.shut()
	server.Close()
	if err := <-served; err != http.ErrServerClosed {
		t.Errorf("got %v", err)
	}
}
