package gate

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

func listen(t *testing.T) *Gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := New(l)
	t.Cleanup(func() { g.Close() })
	return g
}

// accepted is the result of one Accept.
type accepted struct {
	conn net.Conn
	err  error
}

func accept(g *Gate) <-chan accepted {
	result := make(chan accepted, 1)
	go func() {
		conn, err := g.Accept()
		result <- accepted{conn, err}
	}()
	return result
}

func dial(t *testing.T, g *Gate) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", g.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// awaitIdle reports whether AwaitIdle returned before its context ended.
func awaitIdle(t *testing.T, g *Gate, limit int, patience time.Duration) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	g.AwaitIdle(ctx, limit)
	return ctx.Err() == nil
}

const (
	long  = time.Minute           // never reached by a test that passes
	short = 20 * time.Millisecond // for what must not happen
)

func TestGate_AClientWaitsWhileItIsShut(t *testing.T) {
	t.Parallel()
	g := listen(t)
	result := accept(g)
	g.Shut()
	if !awaitIdle(t, g, 0, long) {
		t.Fatal("Accept has not noticed that the gate is shut")
	}
	dial(t, g)
	select {
	case got := <-result:
		t.Fatalf("accepted %v, %v, while the gate was shut", got.conn, got.err)
	case <-time.After(short):
	}
	g.Open()
	got := <-result
	if got.err != nil {
		t.Fatal(got.err)
	}
	got.conn.Close()
}

// TestGate_AwaitIdleNeedsAcceptToWait: a connection may be about to be returned by
// Accept, and nobody has called ConnState for it yet.
func TestGate_AwaitIdleNeedsAcceptToWait(t *testing.T) {
	t.Parallel()
	g := listen(t)
	g.Shut()
	if awaitIdle(t, g, 0, short) {
		t.Error("idle, although no Accept waits for the gate")
	}
	accept(g)
	if !awaitIdle(t, g, 0, long) {
		t.Error("not idle, although Accept waits")
	}
}

func TestGate_AwaitIdleWaitsForBusyConnections(t *testing.T) {
	t.Parallel()
	g := listen(t)
	accept(g)
	g.Shut()
	a, b := dial(t, g), dial(t, g)
	g.ConnState(a, http.StateNew)
	g.ConnState(b, http.StateActive)
	if awaitIdle(t, g, 1, short) {
		t.Error("idle with two busy connections, and a limit of one")
	}
	g.ConnState(a, http.StateIdle)
	if !awaitIdle(t, g, 1, long) {
		t.Error("not idle with one busy connection, and a limit of one")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.AwaitIdle(t.Context(), 0)
	}()
	g.ConnState(b, http.StateClosed)
	<-done
}

// TestGate_CloseEndsAccept: Accept returns even if the gate is shut when it is closed;
// it cannot be shut again.
func TestGate_CloseEndsAccept(t *testing.T) {
	t.Parallel()
	for _, shut := range []bool{false, true} {
		g := listen(t)
		result := accept(g)
		if shut {
			g.Shut()
			g.AwaitIdle(t.Context(), 0)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if got := <-result; !errors.Is(got.err, net.ErrClosed) {
			t.Errorf("shut %v: got %v, want net.ErrClosed", shut, got.err)
		}
		g.Shut()
		if _, err := g.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("shut after Close: got %v, want net.ErrClosed", err)
		}
	}
}

func TestGate_OpenTwiceIsHarmless(t *testing.T) {
	t.Parallel()
	g := listen(t)
	g.Shut()
	g.Open()
	g.Open()
	result := accept(g)
	dial(t, g)
	if got := <-result; got.err != nil {
		t.Error(got.err)
	} else {
		got.conn.Close()
	}
}

// TestGate_OfAServer: a request that comes while the gate is shut waits, and is served
// when it opens.
func TestGate_OfAServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := New(l)
	begun, finish := make(chan struct{}), make(chan struct{})
	server := &http.Server{ConnState: g.ConnState, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
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
	slow := get("/long")
	<-begun
	g.Shut()
	waiting := get("/")
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	g.AwaitIdle(brief, 0)
	if brief.Err() == nil {
		t.Error("idle with a request under way")
	}
	close(finish)
	g.AwaitIdle(t.Context(), 0)
	if err := <-slow; err != nil {
		t.Error(err)
	}
	select {
	case err := <-waiting:
		t.Errorf("an answer through a gate that is shut: %v", err)
	default:
	}
	g.Open()
	if err := <-waiting; err != nil {
		t.Error(err)
	}
	g.Shut()
	server.Close()
	if err := <-served; err != http.ErrServerClosed {
		t.Errorf("got %v", err)
	}
}
