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
	Paused float64 `json:"paused_seconds"` // for which requests had to wait
}

// program is what an upgrade asks for.
type program struct {
	Path string `json:"program"`
}

// Caller is whoever asked for an upgrade. The program that answers is another one
// than the program that was asked.
type Caller struct {
	// Owner tells whether it is who runs the supervisor, or root. Another one, who is
	// a member of the control group, may not decide what program we become.
	Owner bool
	w     http.ResponseWriter
	conn  net.Conn // once it was taken
}

// Take returns the connection to the caller, to leave it to the next program. The
// call can not be cancelled any more.
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

// refuse answers that there was no upgrade.
func (c *Caller) refuse(err error) {
	if c.conn == nil {
		reply(c.w, nil, err)
		return
	}
	_ = answer(c.conn, nil, err) // the caller may have left
	c.conn.Close()
}

func serveUpgrade(s Supervisor, w http.ResponseWriter, r *http.Request) {
	var p program
	if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
		reply(w, nil, &Error{Message: "upgrade: " + err.Error(), Usage: true})
		return
	}
	owner, _ := r.Context().Value(ownerKey{}).(bool) // withOwner has set it
	c := &Caller{w: w, Owner: owner}
	c.refuse(s.Upgrade(r.Context(), p.Path, c))
}

// Answer tells a caller, on the connection that the program before has left, what
// came of the upgrade.
func Answer(conn io.Writer, u Upgraded) error { return answer(conn, u, nil) }

// answer is reply on a connection that no http.Server has.
func answer(conn io.Writer, v any, err error) error {
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	reply(w, v, err)
	resp := http.Response{
		StatusCode: w.status, ProtoMajor: 1, ProtoMinor: 1, Header: w.header, Close: true,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()),
	}
	return resp.Write(conn)
}

// recorder keeps a reply.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// Upgrade replaces the supervisor by a program, and returns when that answers.
func (c *Client) Upgrade(ctx context.Context, path string) (Upgraded, error) {
	var u Upgraded
	err := c.call(ctx, http.MethodPost, "/v1/upgrade", program{path}, &u)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return u, &Error{Message: "the new program has ended before it answered", Hint: "multisite logs"}
	}
	return u, err
}
