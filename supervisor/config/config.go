// Package config says what sites.toml may contain. It reads the file and
// everything it includes, fills in defaults, and reports all mistakes at once,
// each with file, line, key and what would be right.
//
// A Config is a plain value: nothing here starts a process, opens a socket or
// watches a file, and a Config is never changed after Load returned it.
package config

import (
	"net/netip"
	"reflect"
	"time"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/worker/account"
)

// Config is a whole sites.toml with its includes.
type Config struct {
	Path           string         // absolute path of sites.toml
	Dir            string         // its directory: where relative paths start
	Listen         []string       // host:port of the front door
	Dashboard      string         // host:port of the status page; "": none
	StateDir       string         // absolute; default .multisite beside sites.toml
	LogDir         string         // absolute; default logs in StateDir
	ControlGroup   *int           // gid of those who may use the control socket beside its owner; nil: nobody
	TrustedProxies []netip.Prefix // whose X-Forwarded-* headers are believed
	Timeouts       Timeouts       // of the front door
	LogMaxSize     int64          // bytes of a log file that is put aside; 0: never
	LogKeep        int            // log files put aside that stay
	Sites          []*Site        // in order of name
}

// Timeouts are how long a client of the front door may take; 0: as the front door has it.
type Timeouts struct {
	Header time.Duration // header_timeout
	Idle   time.Duration // idle_timeout
	Client time.Duration // client_timeout
}

// Kind tells which runtime serves a site.
type Kind string

// The kinds of site.
const (
	WSGI Kind = "wsgi" // a Python application: Django or any other WSGI callable
	Apps Kind = "apps" // the built-in Go apps, named by a settings file in TOML
	App  Kind = "app"  // a Go program that calls worker.Serve
)

// Site is one [site.NAME] with everything it inherits from [defaults].
type Site struct {
	Name       string
	Position   tomlfile.Position // of the [site.NAME] header
	ServerName string            // lower case, no port, no dot at its end; "" only if Default
	Aliases    []string
	Default    bool   // answers for hosts that no site names
	Mount      string // URL prefix without a slash at its end: "/shop"; the whole host is ""

	Kind     Kind
	Settings string // dotted module (WSGI); "builtin:NAME" (Apps), or absolute path of a .toml file (Apps, App)
	WSGI     string // absolute script path or "module:callable"; empty: from Settings
	App      string // absolute path of a Go plugin binary

	Python     string   // absolute path of the interpreter to execute
	PythonPath []string // absolute
	Home       string   // absolute working directory

	Env map[string]string // env, over what env_file says

	Account *account.Account // nil: whoever runs multisite
	Umask   *int             // nil: multisite's
	Lang    string           // LANG
	Locale  string           // LC_ALL; "": not set

	Processes Range
	Threads   int
	Preload   Preload // of a Python site

	ListenBacklog     int // requests that may wait for a worker
	QueueTimeout      time.Duration
	RequestTimeout    time.Duration
	StartupTimeout    time.Duration
	GracefulTimeout   time.Duration
	ShutdownTimeout   time.Duration
	InactivityTimeout time.Duration
	MaxBody           int64

	MaximumRequests int           // after which a worker is replaced; 0, here and below: no limit
	RestartInterval time.Duration // after which a worker is replaced
	MemoryLimit     int64         // USS of a worker that is replaced
	MemoryLimitHard int64         // that a worker can not exceed
	CPUTimeLimit    time.Duration // of a worker that is replaced
	CPUPriority     int           // nice value of workers; 0: the supervisor's
	StackSize       int64         // of the threads of a Python worker
	TasksLimit      int           // processes and threads that the site's user may have; 0: as many as there can be
	MaxClientsPerIP int           // requests that an address may have at once

	Services []Service // in order of name
	Cron     []Cron    // in order of name
	ReloadOn ReloadOn

	Static   map[string]string // URL prefix below Mount, "/static/", to absolute directory
	NoStatic bool              // nor what Django tells of itself
}

// Same tells whether s and other, from two readings of sites.toml, are the same
// site in every respect but the line they stand on.
func (s *Site) Same(other *Site) bool {
	moved := *other
	moved.Position = s.Position
	return reflect.DeepEqual(s, &moved)
}

// Range is how many worker processes a site may have. Min == Max is a fixed count.
type Range struct{ Min, Max int }
