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

	"github.com/multisite/multisite/worker/unixsock"

	"github.com/multisite/multisite/supervisor/status"
)

// ErrNotRunning says that no supervisor listens in the state directory.
var ErrNotRunning = errors.New("no supervisor is running")

// Client calls the supervisor of one state directory.
type Client struct{ http *http.Client }

// NewClient returns a Client. It connects with the first call.
func NewClient(stateDir string) *Client { return NewClientOf(stateDir, "") }

// NewClientOf returns a Client for the supervisor of a state directory; where none is
// there, for that which runs the sites.toml at config ("": for no other).
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

// About returns who the supervisor is.
func (c *Client) About(ctx context.Context) (About, error) {
	var a About
	err := c.call(ctx, http.MethodGet, "/v1/about", nil, &a)
	return a, err
}

// Status returns what the supervisor and its sites are doing.
func (c *Client) Status(ctx context.Context) (status.Status, error) {
	var s status.Status
	err := c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}

// Ready returns when every site has settled, or with what keeps one from it.
func (c *Client) Ready(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "/v1/ready", nil, nil)
}

// Scale sets numbers of workers and returns when they are reached.
func (c *Client) Scale(ctx context.Context, scales []Scale) error {
	return c.call(ctx, http.MethodPost, "/v1/scale", scales, nil)
}

// Restart replaces the workers of a site and returns when the last old one has ended.
func (c *Client) Restart(ctx context.Context, site string) error {
	return c.call(ctx, http.MethodPost, "/v1/restart?"+url.Values{"site": {site}}.Encode(), nil, nil)
}

// Reload reads sites.toml and code again, for one site or for all, and returns
// what has changed.
func (c *Client) Reload(ctx context.Context, site string) (string, error) {
	var r Reloaded
	err := c.call(ctx, http.MethodPost, "/v1/reload?"+url.Values{"site": {site}}.Encode(), nil, &r)
	return r.Changes, err
}

// Dashboard returns where a browser sees the dashboard.
func (c *Client) Dashboard(ctx context.Context) (Dashboard, error) {
	var d Dashboard
	err := c.call(ctx, http.MethodGet, "/v1/dashboard", nil, &d)
	return d, err
}

// Down ends the supervisor and returns when the last worker has ended.
func (c *Client) Down(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/down", nil, nil)
}

// Logs copies log lines to w. Who follows goes on after an upgrade; what is said in
// that moment is only in the files.
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

// isLost tells whether the supervisor went away in the middle.
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

// do returns the answer of a call that succeeded.
func (c *Client) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader // none: one that is not read would keep the server from seeing that we have left
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
