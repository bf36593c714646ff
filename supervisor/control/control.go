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
	"time"
)

// Supervisor is what answers the calls.
type Supervisor interface {
	About() About
	Status(ctx context.Context) Status
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

// Status is `multisite status --json`: sizes in bytes, durations in seconds.
type Status struct {
	Supervisor SupervisorStatus `json:"supervisor"`
	Sites      []SiteStatus     `json:"sites"`
}

// SupervisorStatus describes the supervisor itself.
type SupervisorStatus struct {
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Listen  []string  `json:"listen"`
	Memory  Memory    `json:"memory"`
	// Refused counts, by status, the requests that the front door has answered for
	// itself: {"421": 3}. Each is a line of logs/multisite.access.log.
	Refused map[int]int64 `json:"refused"`
	Failed  *Failure      `json:"failed"` // the last reload, of whatever site, if nothing came of it; null: it did
}

// SiteStatus describes one site.
type SiteStatus struct {
	Name       string         `json:"name"`
	ServerName string         `json:"server_name"`
	Aliases    []string       `json:"aliases"`
	Kind       string         `json:"kind"`
	State      string         `json:"state"`
	Generation int            `json:"generation"`
	Settings   string         `json:"settings"`
	User       string         `json:"user"`    // who its processes run as; "": whoever runs the supervisor
	Preload    string         `json:"preload"` // "on", or "off" with the reason; "" for a Go site
	Warmup     []string       `json:"warmup"`  // "/: why it failed, or has warmed nothing"
	Processes  Processes      `json:"processes"`
	Threads    int            `json:"threads"`
	Memory     SiteMemory     `json:"memory"`
	Requests   Requests       `json:"requests"`
	Restarts   int            `json:"restarts"`
	LastExit   string         `json:"last_exit"`
	LastError  string         `json:"last_error"`
	Failed     *Failure       `json:"failed"` // the last reload or restart, if its old workers serve on; null: it did not fail
	Workers    []WorkerStatus `json:"workers"`

	Services []ServiceStatus `json:"services"`
	Cron     []CronStatus    `json:"cron"`
}

// Failure is a reload or a restart of which nothing came.
type Failure struct {
	At    time.Time `json:"at"`
	What  string    `json:"what"` // "reload" or "restart"
	Error string    `json:"error"`
}

// Processes compares what should be with what is.
type Processes struct {
	Desired int `json:"desired"`
	Ready   int `json:"ready"`
}

// Memory is what processes hold. PSS counts a shared page once over all
// processes; USS is what ending one gives back; RSS counts shared pages in full.
type Memory struct {
	PSS int64 `json:"pss"`
	USS int64 `json:"uss"`
	RSS int64 `json:"rss"`
}

// SiteMemory is the sum over a site's workers and its zygote. Saved is what the
// same workers would hold more if none had been forked: their anonymous pages in
// full instead of their share of them, without the zygote.
type SiteMemory struct {
	Memory
	ZygotePSS int64 `json:"zygote_pss"`
	Saved     int64 `json:"saved"`
}

// Requests are a site's counters.
type Requests struct {
	Total     int64   `json:"total"`
	Active    int     `json:"active"`
	Queued    int     `json:"queued"`
	Errors    int64   `json:"errors"` // answered with 500 or above
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_seconds"`
	P99       float64 `json:"p99_seconds"`
}

// WorkerStatus describes one worker process.
type WorkerStatus struct {
	ID       string    `json:"id"`
	PID      int       `json:"pid"`
	State    string    `json:"state"`
	Socket   string    `json:"socket"`
	Started  time.Time `json:"started"`
	Requests int64     `json:"requests"`
	Active   int       `json:"active"`
	Memory   Memory    `json:"memory"`
}
