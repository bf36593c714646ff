package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
)

// Upgraded is the answer to an upgrade.
type Upgraded struct {
	PID    int     `json:"pid"`
	From   string  `json:"from"` // version
	To     string  `json:"to"`
	Paused float64 `json:"paused_seconds"` // how long requests had to wait
}

// program is the body of an upgrade call.
type program struct {
	Path string `json:"program"`
}

// Caller is the connection of a client that asked for an upgrade. The new program
// answers on it, not the one that got the call.
type Caller struct {
	// Owner reports whether the client is the user that runs the supervisor, or root. A
	// member of the control group is neither and may not choose the program.
	Owner bool
	w     http.ResponseWriter
	conn  net.Conn // set by Take, which takes it from w's server
}

// Take takes the connection from the HTTP server, so that it can be passed to the new
// program. From then on the call cannot be cancelled.
func (c *Caller) Take() (syscall.Conn, error) {
	conn, _, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		return nil, err
	}
	c.conn = conn
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return nil, errors.New("not a socket")
	}
	return socket, nil
}

// refuse answers with the reason why there was no upgrade.
func (c *Caller) refuse(err error) {
	if c.conn == nil {
		reply(c.w, nil, err)
		return
	}
	_ = answer(c.conn, nil, err) // the client may have closed the connection
	c.conn.Close()
}

func serveUpgrade(s Supervisor, w http.ResponseWriter, r *http.Request) {
	var p program
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
		reply(w, nil, &Error{Message: "upgrade: " + err.Error(), Usage: true})
		return
	}
	owner, _ := r.Context().Value(ownerKey{}).(bool) // set by withOwner
	c := &Caller{w: w, Owner: owner}
	c.refuse(s.Upgrade(r.Context(), p.Path, c))
}

// Answer reports the upgrade to the client, on the connection that the old program
// passed on.
func Answer(conn io.Writer, u Upgraded) error { return answer(conn, u, nil) }

// answer does what reply does, on a connection that was taken from the HTTP server.
func answer(conn io.Writer, v any, err error) error {
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	reply(w, v, err)
	resp := http.Response{
		StatusCode: w.status, ProtoMajor: 1, ProtoMinor: 1, Header: w.header, Close: true,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()),
	}
	return resp.Write(conn)
}

// recorder is an http.ResponseWriter that keeps the reply.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// Upgrade replaces the supervisor by a program and returns the answer of that program.
func (c *Client) Upgrade(ctx context.Context, path string) (Upgraded, error) {
	var u Upgraded
	err := c.call(ctx, http.MethodPost, "/v1/upgrade", program{path}, &u)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return u, &Error{Message: "the new program exited before it answered", Hint: "multisite logs"}
	}
	return u, err
}
