package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/multisite/multisite/worker/unixsock"

	"github.com/multisite/multisite/supervisor/status"
)

// ErrNotRunning is returned when no supervisor listens in the state directory.
var ErrNotRunning = errors.New("no supervisor is running")

// Client calls the supervisor of one state directory.
type Client struct{ http *http.Client }

// NewClient returns a Client for the supervisor of a state directory. Each call makes a
// connection of its own.
func NewClient(stateDir string) *Client { return NewClientOf(stateDir, "") }

// NewClientOf returns a Client for the supervisor of a state directory. If none listens
// there, it looks for the one that runs the sites.toml at config, unless config is "".
func NewClientOf(stateDir, config string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := unixsock.Dial(ctx, SocketPath(stateDir))
		if errors.Is(err, syscall.EACCES) {
			return nil, denied(stateDir)
		}
		if err == nil {
			return conn, nil
		}
		if config != "" {
			if conn, err := dialNearby(ctx, config, stateDir); err == nil {
				return conn, nil
			}
		}
		return nil, errors.Join(ErrNotRunning, err)
	}
	return &Client{http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// About returns which supervisor answers.
func (c *Client) About(ctx context.Context) (About, error) {
	var a About
	err := c.call(ctx, http.MethodGet, "/v1/about", nil, &a)
	return a, err
}

// Status returns what the supervisor and its sites are doing.
func (c *Client) Status(ctx context.Context) (status.Status, error) { return c.StatusWithin(ctx, 0) }

// StatusWithin is Status with measurements of memory that may be up to maxAge old, which
// cost much to make.
func (c *Client) StatusWithin(ctx context.Context, maxAge time.Duration) (status.Status, error) {
	var s status.Status
	path := "/v1/status"
	if maxAge > 0 {
		path += "?" + url.Values{"max_age": {maxAge.String()}}.Encode()
	}
	err := c.call(ctx, http.MethodGet, path, nil, &s)
	return s, err
}

// Ready returns when every site has its workers, or an error that names a site that
// failed.
func (c *Client) Ready(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "/v1/ready", nil, nil)
}

// Scale sets the number of workers of sites and returns when they have them.
func (c *Client) Scale(ctx context.Context, scales []Scale) error {
	return c.call(ctx, http.MethodPost, "/v1/scale", scales, nil)
}

// Restart replaces the workers of a site and returns when the last old one has exited.
func (c *Client) Restart(ctx context.Context, site string) error {
	return c.call(ctx, http.MethodPost, "/v1/restart?"+url.Values{"site": {site}}.Encode(), nil, nil)
}

// Maintenance closes or opens a site.
func (c *Client) Maintenance(ctx context.Context, m Maintenance) error {
	return c.call(ctx, http.MethodPost, "/v1/maintenance", m, nil)
}

// Pause lets the requests of a site wait, and returns when none runs any more.
func (c *Client) Pause(ctx context.Context, site string, most time.Duration) (Paused, error) {
	var p Paused
	err := c.call(ctx, http.MethodPost, "/v1/pause?"+url.Values{"site": {site}, "max": {most.String()}}.Encode(), nil, &p)
	return p, err
}

// Resume ends the pause of a site.
func (c *Client) Resume(ctx context.Context, site string) (Resumed, error) {
	var r Resumed
	err := c.call(ctx, http.MethodPost, "/v1/resume?"+url.Values{"site": {site}}.Encode(), nil, &r)
	return r, err
}

// Reload makes the supervisor read sites.toml and code again, for one site or, with "",
// for all of them. It returns a line for each change.
func (c *Client) Reload(ctx context.Context, site string) (string, error) {
	var r Reloaded
	err := c.call(ctx, http.MethodPost, "/v1/reload?"+url.Values{"site": {site}}.Encode(), nil, &r)
	return r.Changes, err
}

// Dashboard returns the address of the dashboard.
func (c *Client) Dashboard(ctx context.Context) (Dashboard, error) {
	var d Dashboard
	err := c.call(ctx, http.MethodGet, "/v1/dashboard", nil, &d)
	return d, err
}

// Down stops the supervisor and returns when the last worker has exited.
func (c *Client) Down(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/down", nil, nil)
}

// Logs copies log lines to w. With q.Follow it connects again after an upgrade; lines
// that are logged in between are not copied.
func (c *Client) Logs(ctx context.Context, q LogQuery, w io.Writer) error {
	err := c.copyLogs(ctx, q, w)
	for q.Follow && ctx.Err() == nil && (err == nil || isLost(err)) {
		q.Lines = 0
		if err = c.copyLogs(ctx, q, w); errors.Is(err, ErrNotRunning) {
			return nil
		}
	}
	return err
}

// isLost reports whether the connection broke off in the middle of an answer.
func isLost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

func (c *Client) copyLogs(ctx context.Context, q LogQuery, w io.Writer) error {
	values := url.Values{"site": {q.Site}, "lines": {strconv.Itoa(q.Lines)}, "follow": {strconv.FormatBool(q.Follow)}}
	resp, err := c.do(ctx, http.MethodGet, "/v1/logs?"+values.Encode(), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	return err
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.do(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// do makes a call and returns its answer if the call succeeded. The caller closes the
// body.
func (c *Client) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	// Without input there is no body at all: an unread one would keep the server from
	// noticing that the client has closed the connection.
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://multisite"+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	var denied *Error
	switch {
	case errors.Is(err, ErrNotRunning):
		return nil, ErrNotRunning
	case errors.As(err, &denied):
		return nil, denied
	case err != nil:
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	e := &Error{}
	if err := json.NewDecoder(resp.Body).Decode(e); err != nil || e.Message == "" {
		e.Message = "the supervisor answered " + resp.Status
	}
	return nil, e
}
