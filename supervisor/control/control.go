// Package control is how the command line speaks to a running supervisor: HTTP
// with JSON over a unix socket in the state directory, which only the owner can
// open, and a group that he names. `curl --unix-socket .multisite/control.sock http://multisite/v1/status`
// works too.
//
// A call returns when what it asked for is true, or with the reason why not.
// The package carries words; what they mean is decided by a Supervisor.
package control

import (
	"context"
	"io"
	"path/filepath"

	"github.com/multisite/multisite/supervisor/status"
)

// Supervisor is what answers the calls.
type Supervisor interface {
	About() About
	Status(ctx context.Context) status.Status
	Ready(ctx context.Context) error // every site has settled
	Scale(ctx context.Context, scales []Scale) error
	Restart(ctx context.Context, site string) error
	Reload(ctx context.Context, site string, w io.Writer) error // writes what it did to w
	Logs(ctx context.Context, q LogQuery, w io.Writer) error
	Dashboard(ctx context.Context) (Dashboard, error)
	Down(ctx context.Context) error
	// Upgrade replaces the supervisor by another program, which answers the caller.
	// It returns only with an error.
	Upgrade(ctx context.Context, program string, caller *Caller) error
}

// Scale is the number of worker processes that a site shall have.
type Scale struct {
	Site      string `json:"site"`
	Processes int    `json:"processes"`
}

// Reloaded is the answer to a reload: a line for each site that changed.
type Reloaded struct {
	Changes string `json:"changes"`
}

// Dashboard is where a browser sees the dashboard.
type Dashboard struct {
	URL string `json:"url"` // with the token that it asks for
}

// LogQuery says which log lines to send.
type LogQuery struct {
	Site   string // "": all
	Lines  int    // from the end
	Follow bool   // go on with new ones
}

// Error is why a call failed, as a person should read it.
type Error struct {
	Message string `json:"error"`
	Hint    string `json:"hint,omitempty"`
	Detail  string `json:"detail,omitempty"` // a traceback of the site's own code
	Usage   bool   `json:"usage,omitempty"`  // the call itself was wrong
}

func (e *Error) Error() string { return e.Message }

// SocketPath is where the supervisor of a state directory listens.
func SocketPath(stateDir string) string { return filepath.Join(stateDir, "control.sock") }
