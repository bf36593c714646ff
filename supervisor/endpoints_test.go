package supervisor

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/status"
)

func listenOn(t *testing.T, cfg *config.Config) *endpoints {
	t.Helper()
	e := &endpoints{}
	if err := e.listen(cfg, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.closeFront(); e.closePage() })
	return e
}

// TestEndpoints_ServesAllAddresses, and the dashboard to those who know its token.
func TestEndpoints_ServesAllAddresses(t *testing.T) {
	t.Parallel()
	e := listenOn(t, &config.Config{Listen: []string{"127.0.0.1:0", "127.0.0.1:0"}, Dashboard: "127.0.0.1:0"})
	if got := len(e.addrs()); got != 2 {
		t.Fatalf("%d addresses, want 2", got)
	}
	door := &door{http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "door") })}}
	var serving sync.WaitGroup
	failed := e.serve(door, func(context.Context) status.Status { return status.Status{} }, &serving)
	for _, addr := range e.addrs() {
		if got := get(t, addr, "http://"+addr); got != "door" {
			t.Errorf("%s: got %q", addr, got)
		}
	}
	url, err := e.dashboard()
	if err != nil || !strings.Contains(url, e.pageToken) {
		t.Fatalf("dashboard %q, %v", url, err)
	}
	if got := get(t, e.page.Addr().String(), url); !strings.Contains(got, "<title>multisite</title>") {
		t.Errorf("dashboard: got %.100q", got)
	}
	<-e.shutDown(t.Context(), slog.New(slog.DiscardHandler))
	serving.Wait()
	select {
	case err := <-failed:
		t.Errorf("a server that was shut down has failed: %v", err)
	default:
	}
}

// door is a front door without TLS.
type door struct{ http.Server }

func (d *door) ServeTLS(net.Listener) error { return http.ErrServerClosed }

// get returns what a server at an address answers to a request of a URL.
func get(t *testing.T, addr, url string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("tcp", addr)
	}}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEndpoints_AServerThatEndsIsAnError: without its front door a supervisor is useless.
func TestEndpoints_AServerThatEndsIsAnError(t *testing.T) {
	t.Parallel()
	e := listenOn(t, &config.Config{Listen: []string{"127.0.0.1:0"}})
	var serving sync.WaitGroup
	failed := e.serve(&door{}, nil, &serving)
	e.closeFront()
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
	serving.Wait()
}

// TestEndpoints_ShutDownCutsWhatTakesTooLong.
func TestEndpoints_ShutDownCutsWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	e := listenOn(t, &config.Config{Listen: []string{"127.0.0.1:0"}})
	begun, cut := make(chan struct{}), make(chan struct{})
	door := &door{http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
		close(cut)
	})}}
	var serving sync.WaitGroup
	e.serve(door, nil, &serving)
	c, err := net.Dial("tcp", e.addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	<-e.shutDown(ctx, slog.New(slog.DiscardHandler))
	<-cut
	serving.Wait()
}

// TestEndpoints_ExternalListeners: external listeners are used instead of the addresses
// in sites.toml.
func TestEndpoints_ExternalListeners(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e := &endpoints{front: []net.Listener{l}, external: true}
	if err := e.listen(&config.Config{Listen: []string{"nowhere:1"}}, nil); err != nil {
		t.Fatal(err)
	}
	if got := e.addrs(); len(got) != 1 || got[0] != l.Addr().String() {
		t.Errorf("listens on %q, want %s", got, l.Addr())
	}
}

func TestEndpoints_WithoutDashboard(t *testing.T) {
	t.Parallel()
	e := listenOn(t, &config.Config{})
	var failed *control.Error
	if _, err := e.dashboard(); !errors.As(err, &failed) || failed.Hint == "" {
		t.Errorf("got %v, want an error with a hint", err)
	}
	e.closePage() // there is none
}

// TestEndpoints_Gates: of the control sockets some calls wait for what happens to them.
func TestEndpoints_Gates(t *testing.T) {
	t.Parallel()
	e := listenOn(t, &config.Config{Dashboard: "127.0.0.1:0"})
	dir := t.TempDir()
	if err := e.listenForCalls(dir, &config.Config{}, nil, nil, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	gates := e.gates(3)
	if gates[e.calls] != 3 || gates[e.page] != 0 || e.nearby != nil && gates[e.nearby] != 3 {
		t.Errorf("got %v", gates)
	}
	if want := 2; e.nearby == nil && len(gates) != want || e.nearby != nil && len(gates) != want+1 {
		t.Errorf("%d gates", len(gates))
	}
	e.closeControl(t.Context(), dir)
	if _, err := net.Dial("unix", control.SocketPath(dir)); err == nil {
		t.Error("the control socket is still there")
	}
}
