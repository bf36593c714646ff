package control

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/multisite/multisite/worker/unixsock"
)

// Server answers calls on the control socket.
type Server struct {
	http *http.Server
	l    net.Listener // the control socket; closed by http
}

// Listen creates the control socket of a state directory.
func Listen(stateDir string) (net.Listener, error) {
	f, err := unixsock.Listen(SocketPath(stateDir), 16)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return net.FileListener(f)
}

// NewServer returns a Server for a control socket. state is the ConnState hook of its
// http.Server and may be nil.
func NewServer(l net.Listener, s Supervisor, state func(net.Conn, http.ConnState)) *Server {
	return &Server{l: l, http: &http.Server{Handler: handler(s), ReadHeaderTimeout: 10 * time.Second, ConnState: state, ConnContext: withOwner}}
}

// Serve answers calls until Close.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close waits until open calls have finished or ctx is done, and stops the server.
func (s *Server) Close(ctx context.Context) {
	if err := s.http.Shutdown(ctx); err != nil {
		s.http.Close()
	}
}

func handler(s Supervisor) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/about", func(w http.ResponseWriter, r *http.Request) { reply(w, s.About(), nil) })
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		maxAge, _ := time.ParseDuration(r.FormValue("max_age")) // without one everything is measured now
		reply(w, s.StatusWithin(r.Context(), maxAge), nil)
	})
	mux.HandleFunc("GET /v1/progress", func(w http.ResponseWriter, r *http.Request) { reply(w, s.Progress(), nil) })
	mux.HandleFunc("GET /v1/ready", func(w http.ResponseWriter, r *http.Request) { reply(w, struct{}{}, s.Ready(r.Context())) })
	mux.HandleFunc("POST /v1/scale", func(w http.ResponseWriter, r *http.Request) {
		var scales []Scale
		if err := json.NewDecoder(r.Body).Decode(&scales); err != nil {
			reply(w, nil, &Error{Message: "scale: " + err.Error(), Usage: true})
			return
		}
		reply(w, struct{}{}, s.Scale(r.Context(), scales))
	})
	mux.HandleFunc("POST /v1/restart", func(w http.ResponseWriter, r *http.Request) {
		reply(w, struct{}{}, s.Restart(r.Context(), r.FormValue("site")))
	})
	mux.HandleFunc("POST /v1/maintenance", func(w http.ResponseWriter, r *http.Request) {
		var m Maintenance
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&m); err != nil {
			reply(w, nil, &Error{Message: "maintenance: " + err.Error(), Usage: true})
			return
		}
		reply(w, struct{}{}, s.Maintenance(r.Context(), m))
	})
	mux.HandleFunc("POST /v1/pause", func(w http.ResponseWriter, r *http.Request) {
		most, err := time.ParseDuration(r.FormValue("max"))
		if err != nil {
			reply(w, nil, &Error{Message: "pause: " + err.Error(), Usage: true})
			return
		}
		paused, err := s.Pause(r.Context(), r.FormValue("site"), most)
		reply(w, paused, err)
	})
	mux.HandleFunc("POST /v1/resume", func(w http.ResponseWriter, r *http.Request) {
		resumed, err := s.Resume(r.Context(), r.FormValue("site"))
		reply(w, resumed, err)
	})
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, r *http.Request) {
		var did strings.Builder
		err := s.Reload(r.Context(), r.FormValue("site"), &did)
		reply(w, Reloaded{Changes: did.String()}, withChanges(err, did.String()))
	})
	mux.HandleFunc("POST /v1/down", func(w http.ResponseWriter, r *http.Request) { reply(w, struct{}{}, s.Down(r.Context())) })
	mux.HandleFunc("POST /v1/upgrade", func(w http.ResponseWriter, r *http.Request) { serveUpgrade(s, w, r) })
	mux.HandleFunc("GET /v1/dashboard", func(w http.ResponseWriter, r *http.Request) {
		d, err := s.Dashboard(r.Context())
		reply(w, d, err)
	})
	mux.HandleFunc("GET /v1/history", func(w http.ResponseWriter, r *http.Request) { serveHistory(s, w, r) })
	mux.HandleFunc("GET /v1/logs", func(w http.ResponseWriter, r *http.Request) { serveLogs(s, w, r) })
	return mux
}

// withChanges returns the error of a reload with the changes that were made before it
// failed.
func withChanges(err error, did string) error {
	var e *Error
	if errors.As(err, &e) && did != "" {
		more := *e
		more.Detail = strings.TrimRight(did+e.Detail, "\n")
		return &more
	}
	return err
}

func serveLogs(s Supervisor, w http.ResponseWriter, r *http.Request) {
	lines, _ := strconv.Atoi(r.FormValue("lines")) // Client sends a number
	q := LogQuery{Site: r.FormValue("site"), Lines: lines, Follow: r.FormValue("follow") == "true"}
	out := &flusher{w: w, rc: http.NewResponseController(w)}
	if err := s.Logs(r.Context(), q, out); err != nil && !out.began {
		reply(w, nil, err)
	}
}

// flusher is an io.Writer that sends every write at once.
type flusher struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	began bool // something was written, so that an error can no longer be reported
}

func (f *flusher) Write(p []byte) (int, error) {
	f.began = true
	n, err := f.w.Write(p)
	if err == nil {
		err = f.rc.Flush()
	}
	return n, err
}

// reply sends v as JSON, or err as an Error if it is not nil.
func reply(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{Message: err.Error()}
		}
		v = e
		w.WriteHeader(http.StatusUnprocessableEntity)
	}
	_ = json.NewEncoder(w).Encode(v) // the client may have closed the connection
}
