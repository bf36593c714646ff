package control

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

// fake is a Supervisor that notes what it is asked. A func that is nil must not be
// called.
type fake struct {
	Supervisor
	about   About
	status  status.Status
	err     error    // what all calls but logs and upgrade return
	calls   []string // written by one call at a time
	scales  []Scale
	changes string
	logs    func(ctx context.Context, q LogQuery, w io.Writer) error
	upgrade func(ctx context.Context, program string, caller *Caller) error
}

func (f *fake) note(call string) error {
	f.calls = append(f.calls, call)
	return f.err
}

func (f *fake) About() About                                              { return f.about }
func (f *fake) StatusWithin(context.Context, time.Duration) status.Status { return f.status }
func (f *fake) Ready(context.Context) error                               { return f.note("ready") }
func (f *fake) Restart(_ context.Context, site string) error              { return f.note("restart " + site) }
func (f *fake) Down(context.Context) error                                { return f.note("down") }
func (f *fake) History(_ context.Context, site string, since time.Time) (History, error) {
	return History{Points: []Point{{Site: site, Time: since}}}, nil
}

func (f *fake) Dashboard(context.Context) (Dashboard, error) {
	return Dashboard{URL: "http://d/"}, f.err
}
func (f *fake) Scale(_ context.Context, scales []Scale) error {
	f.scales = scales
	return f.note("scale")
}
func (f *fake) Logs(c context.Context, q LogQuery, w io.Writer) error { return f.logs(c, q, w) }

func (f *fake) Reload(_ context.Context, site string, w io.Writer) error {
	if _, err := io.WriteString(w, f.changes); err != nil {
		return err
	}
	return f.note("reload " + site)
}

func (f *fake) Upgrade(ctx context.Context, program string, caller *Caller) error {
	return f.upgrade(ctx, program, caller)
}

// serve serves f on a control socket until the test ends, and returns a client.
func serve(t *testing.T, f *fake) *Client {
	t.Helper()
	dir := t.TempDir()
	serveAt(t, dir, f)
	return NewClient(dir)
}

// serveAt serves f in a state directory until stop is called or the test ends.
func serveAt(t *testing.T, stateDir string, f *fake) (stop func()) {
	t.Helper()
	l, err := Listen(stateDir)
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(l, f, nil)
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		server.Close(context.Background())
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := os.Remove(SocketPath(stateDir)); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// TestClient_RoundTrip: each call reaches the supervisor with its arguments, and the
// client gets what the supervisor answers.
func TestClient_RoundTrip(t *testing.T) {
	t.Parallel()
	f := &fake{
		about:   About{PID: 7, Config: "/sites.toml", Says: "/says", StateDir: "/state"},
		status:  status.Status{Supervisor: status.Supervisor{PID: 7, Listen: []string{"127.0.0.1:80"}}, Sites: []status.Site{{Name: "blog"}}},
		changes: "blog: reloaded\n",
	}
	c := serve(t, f)
	ctx := t.Context()
	if got, err := c.About(ctx); err != nil || got != f.about {
		t.Errorf("about: %+v, %v", got, err)
	}
	if got, err := c.Status(ctx); err != nil || !reflect.DeepEqual(got, f.status) {
		t.Errorf("status: %+v, %v", got, err)
	}
	if got, err := c.Dashboard(ctx); err != nil || got.URL != "http://d/" {
		t.Errorf("dashboard: %+v, %v", got, err)
	}
	if got, err := c.Reload(ctx, "a&b=c d"); err != nil || got != f.changes {
		t.Errorf("reload: %q, %v", got, err)
	}
	scales := []Scale{{Site: "blog", Processes: 3}, {Site: "shop", Processes: 0}}
	if err := errors.Join(c.Ready(ctx), c.Scale(ctx, scales), c.Restart(ctx, "blog"), c.Down(ctx)); err != nil {
		t.Error(err)
	}
	if !reflect.DeepEqual(f.scales, scales) {
		t.Errorf("scale: got %+v", f.scales)
	}
	want := []string{"reload a&b=c d", "ready", "scale", "restart blog", "down"}
	if !reflect.DeepEqual(f.calls, want) {
		t.Errorf("got the calls %q, want %q", f.calls, want)
	}
}

// TestClient_Error: the client gets an Error as the supervisor returned it, and any
// other error as its message.
func TestClient_Error(t *testing.T) {
	t.Parallel()
	full := &Error{Message: "no site \"x\"", Hint: "there are a, b", Detail: "Traceback", Usage: true}
	for _, tt := range []struct{ returned, want error }{
		{full, full},
		{errors.New("disk full"), &Error{Message: "disk full"}},
	} {
		f := &fake{err: tt.returned}
		c := serve(t, f)
		_, reload := c.Reload(t.Context(), "")
		_, dashboard := c.Dashboard(t.Context())
		for call, err := range map[string]error{
			"ready": c.Ready(t.Context()), "scale": c.Scale(t.Context(), nil), "restart": c.Restart(t.Context(), "x"),
			"down": c.Down(t.Context()), "reload": reload, "dashboard": dashboard,
		} {
			if !reflect.DeepEqual(err, tt.want) {
				t.Errorf("%s: got %#v, want %#v", call, err, tt.want)
			}
		}
	}
}

// TestReload_KeepsChanges: a reload that fails reports what it had changed by then,
// before the detail of the failure.
func TestReload_KeepsChanges(t *testing.T) {
	t.Parallel()
	c := serve(t, &fake{changes: "blog: reloaded\n", err: &Error{Message: "shop: failed", Detail: "Traceback\n"}})
	_, err := c.Reload(t.Context(), "")
	if want := (&Error{Message: "shop: failed", Detail: "blog: reloaded\nTraceback"}); !reflect.DeepEqual(err, want) {
		t.Errorf("got %#v, want %#v", err, want)
	}
}

// TestClient_StrangeAnswers: whatever answers on the socket, the client reports it.
func TestClient_StrangeAnswers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := NewClient(dir).Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no socket: got %v", err)
	}
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.NotFoundHandler()}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	defer func() { server.Close(); <-done }()
	if _, err := NewClient(dir).Status(t.Context()); err == nil || err.Error() != "the supervisor answered 404 Not Found" {
		t.Errorf("another server: got %v", err)
	}
}

// TestServer_RefusesMalformed: a call whose body is not JSON is wrong usage.
func TestServer_RefusesMalformed(t *testing.T) {
	t.Parallel()
	c := serve(t, &fake{})
	for _, path := range []string{"/v1/scale", "/v1/upgrade"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://multisite"+path, strings.NewReader("{"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(string(body), `"usage":true`) {
			t.Errorf("%s: %d %s, %v", path, resp.StatusCode, body, err)
		}
	}
}

// TestServer_ReportsConnections: each connection is reported to the supervisor.
func TestServer_ReportsConnections(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	states := make(chan http.ConnState, 10)
	server := NewServer(l, &fake{}, func(_ net.Conn, state http.ConnState) { states <- state })
	served := make(chan error, 1)
	go func() { served <- server.Serve() }()
	if _, err := NewClient(dir).About(t.Context()); err != nil {
		t.Error(err)
	}
	for _, want := range []http.ConnState{http.StateNew, http.StateActive, http.StateClosed} {
		select {
		case got := <-states:
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no report of %s", want)
		}
	}
	server.Close(context.Background())
	if err := <-served; err != nil {
		t.Error(err)
	}
}
