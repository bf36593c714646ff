// Package config says what sites.toml may contain. It reads the file and
// everything it includes, fills in defaults, and reports all mistakes at once,
// each with file, line, key and what would be right.
//
// A Config is a plain value: nothing here starts a process, opens a socket or
// watches a file, and a Config does not change after Load has returned it.
//
// Each key of sites.toml is one field of Config, Site or a struct in them. The
// field's tags say all that is known about the key: see keys.go.
package config

import (
	"net/netip"
	"time"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/rules"
	"github.com/multisite/multisite/worker/account"
)

// Config is a whole sites.toml with its includes.
type Config struct {
	Path string // absolute path of sites.toml
	Dir  string // absolute directory of sites.toml; relative paths in it start here

	// Listen has at least one host:port of the front door.
	Listen []string `toml:"listen" type:"host:port, or list" default:"127.0.0.1:8080" live:"no" affects:"door"`
	// ListenTLS has the host:port where the front door speaks TLS; none: nowhere.
	ListenTLS []string `toml:"listen_tls" type:"host:port, or list" default:"(none)" live:"no" affects:"door"`
	// ACME says from whom certificates of sites with TLSAuto are requested.
	ACME ACME `toml:"acme" type:"table { email, directory, ca_file }" default:"(Let's Encrypt)" live:"yes" affects:"door"`
	// Dashboard is a host:port on a loopback address; "" is no dashboard.
	Dashboard string `toml:"dashboard" type:"host:port" default:"(none)" live:"no" affects:"dashboard"`
	// Metrics is a host:port where Prometheus gets the metrics; "" is none.
	Metrics string `toml:"metrics" type:"host:port" default:"(none)" live:"yes" affects:"metrics"`
	// Include has the glob patterns of included files as they are written.
	Include []string `toml:"include" type:"pattern, or list" default:"(none)" live:"yes" affects:"sites"`
	// StateDir is absolute.
	StateDir string `toml:"state_dir" type:"path" default:"(.multisite beside sites.toml)" live:"no" affects:"state"`
	// LogDir is absolute.
	LogDir string `toml:"log_dir" type:"path" default:"(logs in the state directory)" live:"no" affects:"logs"`
	// LogMaxSize is the size in bytes at which a log file is rotated; 0 is never.
	LogMaxSize int64 `toml:"log_max_size" default:"64MiB" live:"yes" affects:"logs"`
	// LogKeep is the number of rotated files that are kept for each log file.
	LogKeep int `toml:"log_keep" default:"3" live:"yes" affects:"logs"`
	// ControlGroup is the gid whose members may use the control socket, beside root
	// and its owner; nil is no group.
	ControlGroup *int `toml:"control_group" type:"group" default:"(none)" live:"yes" affects:"control"`
	// TrustedProxies are the peers whose X-Forwarded-* and Forwarded headers are believed.
	TrustedProxies []netip.Prefix `toml:"trusted_proxies" type:"address or network, or list" default:"(none)" live:"no" affects:"door"`
	Timeouts       Timeouts       `live:"no" affects:"door"`
	// MaxConnections is how many clients may be connected; 0: as many as suit the machine.
	MaxConnections int `toml:"max_connections" default:"(10000; fewer where open files are few)" live:"yes" affects:"door"`
	// MaxConnectionsPerIP is how many connections one address may have; 0: see the default.
	MaxConnectionsPerIP int `toml:"max_connections_per_ip" default:"(a quarter of max_connections, at least 1000)" live:"yes" affects:"door"`
	// MergePages reports whether the kernel may merge equal pages of Python workers (KSM).
	MergePages bool `toml:"merge_pages" default:"false" live:"yes" affects:"worker"`

	Sites []*Site // in order of name
}

// Timeouts are how long a client of the front door may take. None is 0.
type Timeouts struct {
	// Header bounds the head of a request, and the wait for one on a new connection.
	Header time.Duration `toml:"header_timeout" default:"10s" nonzero:"yes"`
	// Idle bounds the time between two requests of a connection.
	Idle time.Duration `toml:"idle_timeout" default:"75s" nonzero:"yes"`
	// Client bounds each wait for the client to send or take a piece of a body.
	Client time.Duration `toml:"client_timeout" default:"60s" nonzero:"yes"`
}

// Kind says which runtime serves a site.
type Kind string

// The kinds of site.
const (
	WSGI Kind = "wsgi" // a Python application: Django or any other WSGI callable
	Apps Kind = "apps" // the built-in Go apps, named by a settings file in TOML
	App  Kind = "app"  // a Go program that calls worker.Serve
)

// Site is one [site.NAME] with everything it inherits from [defaults].
type Site struct {
	Name     string            `as:"name" live:"no" affects:"worker"`
	Position tomlfile.Position `as:"-"` // of the [site.NAME] header

	// Which requests are the site's.

	// ServerName is in lower case, without a port or a final dot; "" only if Default.
	ServerName string `toml:"server_name" default:"(required)" defaults:"no" live:"wsgi app" affects:"door"`
	// Aliases are more names, written as ServerName is, or as "*.example.com".
	Aliases []string `toml:"server_alias" default:"(none)" defaults:"no" live:"wsgi app" affects:"door"`
	// Default reports whether the site answers for hosts that no site names.
	Default bool `toml:"default" default:"false" defaults:"no" live:"yes" affects:"door"`
	// Mount is a URL prefix without a final slash, "/shop"; "" is the whole host.
	Mount string `toml:"mount" default:"/" live:"no" affects:"door worker code"`
	// TLS says where the certificate of the names comes from.
	TLS         TLS               `toml:"tls" type:"\"auto\", \"internal\", \"off\", or { cert, key }" default:"(auto with listen_tls, else off)" live:"yes" affects:"door"`
	TLSPosition tomlfile.Position `as:"-"` // of the key tls; the zero value if it is not written
	// HTTPS is what becomes of requests that come without TLS: HTTPSRedirect, HTTPSBoth or
	// HTTPSOff. It counts only for a site with TLS.
	HTTPS string `toml:"https" type:"\"redirect\", \"both\" or \"off\"" default:"redirect" live:"yes" affects:"door"`
	// HSTS is for how long a browser uses only TLS after an answer that came with it; 0: it
	// is not told to.
	HSTS time.Duration `toml:"hsts" default:"0s" live:"yes" affects:"door"`
	// Static maps each URL prefix below Mount, such as "/static/", to an absolute directory.
	// One without a slash at its end may be that of a file.
	Static map[string]string `toml:"static" type:"table, true or false" default:"true" live:"yes" affects:"door"`
	// NoStatic reports whether the front door must not even serve what Django
	// says of its static files.
	NoStatic bool `as:"static" live:"yes" affects:"door"`
	// Index is the name of the file that is served for a directory; "" is none.
	Index    string   `toml:"index" default:"(none)" live:"yes" affects:"door"`
	Compress Compress `toml:"compress" type:"true, false, or list of media types" default:"(static files)" live:"yes" affects:"door"`
	// Sendfile maps each URL prefix that X-Accel-Redirect may have to an absolute directory.
	Sendfile map[string]string `toml:"sendfile" type:"table" default:"(none)" live:"yes" affects:"door"`

	// These keys are rules for requests and answers, kept by the front door.

	// Redirects are in the order in which they are tried.
	Redirects []rules.Redirect `toml:"redirects" type:"table" default:"(none)" live:"yes" affects:"door"`
	// CanonicalHost reports whether all names of the site lead to ServerName.
	CanonicalHost bool `toml:"canonical_host" default:"false" live:"yes" affects:"door"`
	// Headers are set in and removed from all answers.
	Headers rules.Headers `toml:"headers" type:"{ set, remove }" default:"(none)" live:"yes" affects:"door"`
	// Access is in order of its paths.
	Access []Area `toml:"access" type:"table" default:"(none)" live:"yes" affects:"door"`
	// RateLimit is for each address.
	RateLimit rules.Rate `toml:"rate_limit" type:"rate, or { rate, burst }" default:"(none)" live:"yes" affects:"door"`
	// Methods are those that are allowed; none: all are.
	Methods []string `toml:"methods" type:"string, or list" default:"(all)" live:"yes" affects:"door"`
	// ErrorPages are in place of the front door's own, by status.
	ErrorPages map[int]ErrorPage `toml:"error_pages" type:"table" default:"(none)" live:"yes" affects:"door"`

	// AccessLog is the format of the site's access log.
	AccessLog AccessLog `toml:"access_log" type:"combined, json or off" default:"combined" live:"yes" affects:"door"`

	// These keys say what the site runs. application.go says which of them go together.

	Kind Kind `as:"kind" live:"no" affects:"worker code"`
	// Settings is a dotted module (WSGI), "builtin:NAME" (Apps), or the absolute path
	// of a .toml file (Apps, App).
	Settings string `toml:"settings" type:"module, path or builtin:NAME" default:"(none)" live:"no" affects:"worker code"`
	// WSGI is the absolute path of a script or "module:callable"; "": from Settings.
	WSGI string `toml:"wsgi" type:"path or module:callable" default:"(from settings)" live:"no" affects:"worker code"`
	// App is the absolute path of a Go program.
	App string `toml:"app" type:"path" default:"(none)" live:"no" affects:"worker code"`
	// Python is the absolute path of the interpreter to execute.
	Python string `toml:"python_home" type:"path" default:"(.venv or venv beside sites.toml, then python3 in PATH)" kind:"wsgi" live:"no" affects:"worker code task"`
	// PythonPath are absolute paths that go first on sys.path.
	PythonPath []string `toml:"python_path" type:"path, or list" default:"(none)" kind:"wsgi" live:"no" affects:"worker code task"`
	// Home is the absolute working directory.
	Home string `toml:"home" type:"path" default:"(the directory of sites.toml)" live:"no" affects:"worker code task"`

	// These keys say as which user its processes run, and in what environment.

	// EnvFile is absolute. Its variables are in Env.
	EnvFile string `toml:"env_file" type:"path" default:"(none)" as:"-" live:"no" affects:"worker code task"`
	// Env has the variables of env_file and env; those of env are stronger.
	Env map[string]string `toml:"env" type:"table" default:"(none)" live:"no" affects:"worker code task"`
	// User, Group and SupplementaryGroups are names or numbers as they are written.
	// What they mean is in Account.
	User                string   `toml:"user" type:"user" default:"(that of multisite)" as:"-" live:"no" affects:"worker code task"`
	Group               string   `toml:"group" type:"group" default:"(that of user)" as:"-" live:"no" affects:"worker code task"`
	SupplementaryGroups []string `toml:"supplementary_groups" type:"group, or list" default:"(those of user)" as:"-" live:"no" affects:"worker code task"`
	// Account is nil if the site runs as multisite itself does.
	Account *account.Account `as:"user or group" live:"no" affects:"worker code task"`
	// Umask is nil if it is multisite's own.
	Umask *int `toml:"umask" type:"octal digits in a string" default:"(that of multisite)" live:"no" affects:"worker code task"`
	// Lang is LANG.
	Lang string `toml:"lang" default:"C.UTF-8" live:"no" affects:"worker code task"`
	// Locale is LC_ALL; "" leaves it unset.
	Locale string `toml:"locale" default:"(none)" live:"no" affects:"worker code task"`

	// These keys say how many workers there are, and how they share memory.

	Processes Range `toml:"processes" type:"whole number, or { min, max }" default:"1" live:"yes" affects:"pool"`
	// Threads is how many requests a worker takes at once. The front door applies it; a
	// Go worker does not know it.
	Threads int     `toml:"threads" min:"1" default:"(1; Go: 100)" live:"apps app" affects:"pool worker code"`
	Preload Preload `as:"preload" kind:"wsgi" live:"no" affects:"worker"`
	// MergePages is that of the whole file.
	MergePages bool `as:"merge_pages" kind:"wsgi" live:"no" affects:"worker"`

	// These keys limit time, queues, memory and processes.

	// ListenBacklog is how many requests may wait for a worker.
	ListenBacklog int `toml:"listen_backlog" default:"100" live:"yes" affects:"pool"`
	// QueueTimeout bounds the wait of a request for a worker.
	QueueTimeout time.Duration `toml:"queue_timeout" default:"30s" nonzero:"yes" live:"yes" affects:"pool"`
	// RequestTimeout bounds the time from a worker getting a request to the end of its answer.
	RequestTimeout time.Duration `toml:"request_timeout" default:"60s" nonzero:"yes" live:"yes" affects:"door pool"`
	// StartupTimeout bounds the time until a worker is ready.
	StartupTimeout time.Duration `toml:"startup_timeout" default:"30s" nonzero:"yes" live:"yes" affects:"pool code"`
	// GracefulTimeout bounds the requests in flight when a worker ends.
	GracefulTimeout time.Duration `toml:"graceful_timeout" default:"15s" nonzero:"yes" live:"yes" affects:"pool task"`
	// ShutdownTimeout is the time from SIGTERM to SIGKILL of a worker.
	ShutdownTimeout time.Duration `toml:"shutdown_timeout" default:"5s" nonzero:"yes" live:"yes" affects:"pool"`
	// InactivityTimeout is the idle time after which a worker ends or is replaced; 0 is
	// never.
	InactivityTimeout time.Duration `toml:"inactivity_timeout" default:"(0s; 5m for a range of processes)" live:"yes" affects:"pool"`

	// ReplaceIdle reports whether an idle worker is replaced when a fresh fork would hold
	// much less memory.
	ReplaceIdle bool `toml:"replace_idle" default:"true" kind:"wsgi" live:"yes" affects:"pool"`

	// Limits. 0 is no limit, except for MaxBody, which is never 0.

	// MaxBody is in bytes. nginx's default of 1 MB refuses an ordinary photo; with
	// Apache's 1 GiB a few strangers fill the disk that bodies are spooled to.
	MaxBody int64 `toml:"max_body" default:"64MB" nonzero:"yes" live:"yes" affects:"door"`
	// MaxClientsPerIP is how many requests an address may have at once.
	MaxClientsPerIP int `toml:"max_clients_per_ip" default:"0" live:"yes" affects:"door"`
	// MaxTunnels is how many WebSockets the site may have, and other connections that have
	// left HTTP by an Upgrade; 0: a request with Upgrade is an ordinary one.
	MaxTunnels int `toml:"max_tunnels" default:"1000" live:"yes" affects:"door"`
	// MaximumRequests is how many requests a worker takes before it is replaced.
	MaximumRequests int `toml:"maximum_requests" default:"0" live:"yes" affects:"pool"`
	// RestartInterval is the age at which a worker is replaced.
	RestartInterval time.Duration `toml:"restart_interval" default:"0s" live:"yes" affects:"pool"`
	// MemoryLimit is the USS in bytes at which a worker is replaced.
	MemoryLimit int64 `toml:"memory_limit" default:"0B" live:"yes" affects:"pool"`
	// MemoryLimitHard is in bytes. A worker cannot exceed it.
	MemoryLimitHard int64 `toml:"memory_limit_hard" default:"0B" live:"yes" affects:"pool"`
	// CPUTimeLimit is the processor time at which a worker is replaced.
	CPUTimeLimit time.Duration `toml:"cpu_time_limit" default:"0s" live:"yes" affects:"pool"`
	// CPUPriority is the nice value of the workers; 0 is the supervisor's own.
	CPUPriority int `toml:"cpu_priority" default:"0" live:"yes" affects:"pool"`
	// StackSize is in bytes, for the threads of a Python worker; 0 is Python's default.
	StackSize int64 `toml:"stack_size" default:"0B" kind:"wsgi" live:"no" affects:"worker code"`
	// TasksLimit is how many processes and threads the site's user may have.
	TasksLimit int `toml:"tasks_limit" default:"0" live:"yes" affects:"pool code task"`

	// These keys say what runs beside the workers, and which changes reload the site.

	// Services are in order of name.
	Services []Service `toml:"service" type:"tables" default:"(none)" live:"yes" affects:"task"`
	// Cron is in order of name.
	Cron     []Cron   `toml:"cron" type:"tables" default:"(none)" live:"yes" affects:"task"`
	ReloadOn ReloadOn `toml:"reload_on" type:"string, or list" default:"(none)" live:"yes" affects:"reload"`
}

// Range is how many worker processes a site may have. Min == Max is a fixed count.
type Range struct {
	Min int `toml:"min" default:"(required)" live:"yes" affects:"pool"`
	Max int `toml:"max" default:"(required)" live:"yes" affects:"pool"`
}
