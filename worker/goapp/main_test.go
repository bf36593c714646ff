package goapp

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/multisite/multisite/worker"
)

// TestMain plays the app when a test started this program as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if role, ok := strings.CutPrefix(os.Args[1], "role="); ok {
			play(role)
			return
		}
	}
	os.Exit(m.Run())
}

func play(role string) {
	switch role {
	case "app":
		worker.Serve(routes())
		fmt.Println("after Serve")
	case "panic":
		panic("no database")
	case "fatal":
		log.Fatal("open config: no such file")
	case "hang":
		fmt.Println("hanging")
		select {}
	case "supervisor":
		supervise(os.Args[2])
	}
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, agent := r.Header["User-Agent"]
		fmt.Fprintf(w, "%s %s %s agent=%v length=%d encoding=%v", r.Method, r.Host, r.RequestURI, agent, r.ContentLength, r.TransferEncoding)
	})
	mux.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Join(os.Environ(), "\n"))
	})
	mux.HandleFunc("/say", func(http.ResponseWriter, *http.Request) {
		fmt.Println("from fmt")
		log.Println("from log")
		fmt.Fprint(os.Stderr, "from stderr\n")
	})
	mux.HandleFunc("/hold", func(w http.ResponseWriter, _ *http.Request) {
		http.NewResponseController(w).Flush()
		fmt.Println("holding")
		for _, err := os.Stat(os.Getenv("RELEASE")); err != nil; _, err = os.Stat(os.Getenv("RELEASE")) {
			time.Sleep(time.Millisecond) // the app's, not the test's: an outside process has no channel to us
		}
		io.WriteString(w, "whole")
	})
	mux.HandleFunc("/heed", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("bad handler") })
	mux.HandleFunc("/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/late", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		panic("too late")
	})
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) {
		go panic("crashed")
		select {}
	})
	return mux
}

// lines collects what workers wrote.
type lines struct {
	mu   sync.Mutex
	all  []string
	more chan struct{} // closed and replaced with each line
}

func newLines() *lines { return &lines{more: make(chan struct{})} }

func (l *lines) add(_, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
	close(l.more)
	l.more = make(chan struct{})
}

func (l *lines) count(match string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, line := range l.all {
		if strings.Contains(line, match) {
			n++
		}
	}
	return n
}

// wait returns when a line contains match.
func (l *lines) wait(t *testing.T, match string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		l.mu.Lock()
		found := slices.ContainsFunc(l.all, func(s string) bool { return strings.Contains(s, match) })
		more, all := l.more, slices.Clone(l.all)
		l.mu.Unlock()
		if found {
			return
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("got no line with %q in %q", match, all)
		}
	}
}

// options returns what starts this test program in a role.
func options(t testing.TB, role string) Options {
	t.Helper()
	return Options{
		Site:      "blog",
		Path:      testProgram(t),
		Args:      args("role=" + role),
		Env:       []string{"PATH=" + os.Getenv("PATH")},
		SocketDir: t.TempDir(),
	}
}

func args(a ...string) func() []string { return func() []string { return a } }

func testProgram(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func launch(t testing.TB, o Options) *Worker {
	t.Helper()
	w, err := New(o).Launch(t.Context(), "blog/1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func get(t testing.TB, w *Worker, path string) (int, string) {
	t.Helper()
	res, err := w.RoundTrip(request(t, path))
	if err != nil {
		t.Fatalf("get %s: %v", path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	return res.StatusCode, string(b)
}

func request(t testing.TB, path string) *http.Request {
	t.Helper()
	r, err := http.NewRequest("GET", "http://blog.example.com"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// leftovers returns the names in the socket directory.
func leftovers(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}
