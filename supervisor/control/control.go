// Package control connects the command line to a running supervisor: HTTP with JSON
// over a unix socket in the state directory. Only the user that runs the supervisor,
// root and, if sites.toml names one, a group can open the socket.
// `curl --unix-socket .multisite/control.sock http://multisite/v1/status` works too.
//
// A call returns when what it asked for is true, or with the reason why it is not. The
// package only transports calls and answers; a Supervisor carries them out.
package control

import (
	"context"
	"io"
	"path/filepath"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

// Supervisor carries out the calls. Its methods are called concurrently.
type Supervisor interface {
	About() About
	StatusWithin(ctx context.Context, maxAge time.Duration) status.Status // with measurements of memory up to maxAge old
	Progress() Progress
	Ready(ctx context.Context) error // returns when every site has its workers or has failed
	Scale(ctx context.Context, scales []Scale) error
	Restart(ctx context.Context, site string) error
	Maintenance(ctx context.Context, m Maintenance) error
	Pause(ctx context.Context, site string, most time.Duration) (Paused, error)
	Resume(ctx context.Context, site string) (Resumed, error)
	Reload(ctx context.Context, site string, w io.Writer) error // writes a line to w for each change
	Logs(ctx context.Context, q LogQuery, w io.Writer) error
	Dashboard(ctx context.Context) (Dashboard, error)
	History(ctx context.Context, site string, since time.Time) (History, error)
	Down(ctx context.Context) error
	// Upgrade replaces the supervisor by another program, which answers the caller.
	// If it returns, there was no upgrade.
	Upgrade(ctx context.Context, program string, caller *Caller) error
}

// Scale is the number of worker processes that a site should have.
type Scale struct {
	Site      string `json:"site"`
	Processes int    `json:"processes"`
}

// Maintenance closes or opens a site.
type Maintenance struct {
	Site     string   `json:"site"`
	On       bool     `json:"on"`
	Allow    []string `json:"allow"`     // addresses and networks that get the site all the same
	Page     []byte   `json:"page"`      // instead of the site's page of 503; null: that
	PageName string   `json:"page_name"` // its file's, which tells its type
}

// Paused is the answer to a pause.
type Paused struct {
	Until   time.Time `json:"until"`   // when the site goes on in any case
	Waiting int       `json:"waiting"` // requests
}

// Resumed is the answer to the end of a pause.
type Resumed struct {
	Waited  int     `json:"waited"` // requests
	Seconds float64 `json:"seconds"`
}

// Reloaded is the answer to a reload.
type Reloaded struct {
	Changes string `json:"changes"` // a line for each change
}

// Dashboard is the address of the dashboard.
type Dashboard struct {
	URL string `json:"url"` // with its token
}

// LogQuery says which log lines to send.
type LogQuery struct {
	Site   string // "" for all sites and the supervisor
	Lines  int    // how many of the last lines
	Follow bool   // go on with new lines as they come
}

// Error is the reason why a call failed, in the words that a person should read.
type Error struct {
	Message string `json:"error"`
	Hint    string `json:"hint,omitempty"`
	Detail  string `json:"detail,omitempty"` // more lines, such as a traceback of the site's code
	Usage   bool   `json:"usage,omitempty"`  // the call was wrong, so the command exits with 2
}

func (e *Error) Error() string { return e.Message }

// SocketPath returns the path of the control socket in a state directory.
func SocketPath(stateDir string) string { return filepath.Join(stateDir, "control.sock") }
