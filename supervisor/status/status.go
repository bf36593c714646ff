// Package status holds what a running supervisor says of itself and its sites. The
// values are plain: the control socket sends them, and the dashboard and the command
// line show them. Encoded as JSON they are the contract of `multisite status --json`:
// sizes in bytes, durations in seconds, times in UTC.
package status

import "time"

// Status describes the supervisor and every site at one moment.
type Status struct {
	Supervisor Supervisor `json:"supervisor"`
	Sites      []Site     `json:"sites"` // in the order of sites.toml
}

// Supervisor describes the supervisor itself.
type Supervisor struct {
	PID       int       `json:"pid"`
	Version   string    `json:"version"`
	Started   time.Time `json:"started"`
	Listen    []string  `json:"listen"`     // addresses of the front door
	ListenTLS []string  `json:"listen_tls"` // those that speak TLS
	Metrics   string    `json:"metrics"`    // address where Prometheus gets the metrics; "": there is none
	Memory    Memory    `json:"memory"`
	Others    Memory    `json:"others"` // of processes that belong to no site, such as a zygote that several share
	// Refused counts, by status code, the requests that the front door answered
	// itself: {"421": 3}. Each of them is a line of logs/multisite.access.log.
	Refused map[int]int64 `json:"refused"`

	Connections Connections `json:"connections"`

	Failed *Failure `json:"failed"` // the last reload of all sites or one, if it failed; null if it succeeded
	// Merging is what the kernel does for merge_pages; absent without that key.
	Merging *Merging `json:"merging,omitempty"`
}

// Connections are those of clients, in whatever state. What is refused is closed at once.
type Connections struct {
	Open         int   `json:"open"`           // now
	Most         int   `json:"most"`           // max_connections
	MostPerIP    int   `json:"most_per_ip"`    // max_connections_per_ip
	Refused      int64 `json:"refused"`        // for max_connections
	RefusedPerIP int64 `json:"refused_per_ip"` // for max_connections_per_ip
}

// Merging describes kernel samepage merging (KSM).
type Merging struct {
	On      bool    `json:"on"`           // the kernel's switch
	Problem string  `json:"problem"`      // why it is not as merge_pages wants it; "" if it is
	Merged  int64   `json:"merged"`       // bytes of our workers and zygotes that are merged
	Saved   int64   `json:"saved"`        // bytes that merging saves on the whole machine
	Ksmd    float64 `json:"ksmd_seconds"` // of processor time, since the machine started
}

// Site describes one site.
type Site struct {
	Name       string     `json:"name"`
	ServerName string     `json:"server_name"`
	Aliases    []string   `json:"aliases"`
	URL        string     `json:"url"`        // an address of the site, one that opens in a browser on this machine if there is one
	Kind       string     `json:"kind"`       // wsgi, apps or app
	State      string     `json:"state"`      // starting, running, degraded, sleeping, stopped or failed
	Generation int        `json:"generation"` // how often its workers have been replaced as a whole, and 1
	Settings   string     `json:"settings"`   // what it runs: settings, WSGI entry or program
	User       string     `json:"user"`       // the user its processes run as; "" for the supervisor's own
	Preload    string     `json:"preload"`    // "on", or "off" with the reason; "" for a Go site
	Warmup     []string   `json:"warmup"`     // "PATH: REASON" for each warm-up request that failed or warmed nothing
	Processes  Processes  `json:"processes"`
	Threads    int        `json:"threads"` // requests that a worker takes at once
	Memory     SiteMemory `json:"memory"`
	Requests   Requests   `json:"requests"`
	Tunnels    Tunnels    `json:"tunnels"`
	Restarts   int        `json:"restarts"`   // workers that have exited unplanned
	LastExit   string     `json:"last_exit"`  // how a worker has last exited; "" if none has
	LastEvent  *Event     `json:"last_event"` // null if nothing is known of one
	LastError  string     `json:"last_error"` // a line or a traceback
	Failed     *Failure   `json:"failed"`     // the last reload or restart, if it failed and the old workers serve on; else null
	Workers    []Worker   `json:"workers"`

	Certificates []Certificate `json:"certificates"` // of the server names; none if the site has no TLS
	Maintenance  *Maintenance  `json:"maintenance"`  // how the site is closed; null if it is open
	Paused       *Pause        `json:"paused"`       // since when its requests wait; null if they do not

	SelfRoll *SelfRoll `json:"self_roll"` // how the workers came to replace those before, if the site did so by itself; else null

	Services []Service `json:"services"`
	Cron     []Cron    `json:"cron"`
}

// Certificate describes the certificate of some server names.
type Certificate struct {
	Names    []string   `json:"names"`
	Source   string     `json:"source"`    // auto, internal or files
	Issuer   string     `json:"issuer"`    // "": there is no certificate yet
	Until    *time.Time `json:"not_after"` // null: there is no certificate yet
	DaysLeft int        `json:"days_left"` // whole days until then; negative after it
	Failed   *Failure   `json:"failed"`    // the last try to get a newer one, if it failed; else null
}

// Maintenance is that a site is closed to visitors.
type Maintenance struct {
	Since time.Time `json:"since"`
	Allow []string  `json:"allow"` // networks that get the site all the same
	Page  bool      `json:"page"`  // it has a page of its own
}

// Pause is that the requests of a site wait.
type Pause struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"` // when they go on in any case
}

// SelfRoll is that a site has replaced its workers, since new ones share more of what
// visitors ask for most.
type SelfRoll struct {
	At    time.Time `json:"at"`
	Paths []string  `json:"paths"`       // of the warm-up
	Saved *int64    `json:"saved_bytes"` // compared after as many requests as before; null if that is not known yet
}

// Failure is a reload or a restart that failed and changed nothing.
type Failure struct {
	At    time.Time `json:"at"`
	What  string    `json:"what"` // "reload", "restart" or "certificate"
	Error string    `json:"error"`
}

// Event is the last thing that happened to a site that its owner may want to know of.
type Event struct {
	At   time.Time `json:"at"`
	What string    `json:"what"` // "start", "reload", "reload failed", "scale 3", "crash", "oom", "service failed", …
}

// Processes compares the number of workers that a site should have with the number
// that are ready.
type Processes struct {
	Desired int    `json:"desired"` // how many there should be now
	Ready   int    `json:"ready"`
	Min     int    `json:"min"` // how few there may be
	Max     int    `json:"max"`
	File    *Range `json:"file"` // what sites.toml says, if `multisite scale` has set another number; else null
}

// Range is the number of processes as sites.toml says it.
type Range struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// Requests are a site's counters.
type Requests struct {
	Total     int64   `json:"total"`            // since the first start of the supervisor
	Active    int     `json:"active"`           // on workers
	Queued    int     `json:"queued"`           // they wait for a worker
	Errors    int64   `json:"errors"`           // answered with 500 or above
	LastHour  int64   `json:"errors_last_hour"` // of these
	PerSecond float64 `json:"per_second"`       // in the last minute, as the two below
	P50       float64 `json:"p50_seconds"`      // to 3%; 0 if there was no request
	P99       float64 `json:"p99_seconds"`
}

// Tunnels are connections of a site's clients that have left HTTP, such as WebSockets.
type Tunnels struct {
	Open    int   `json:"open"`    // now
	Refused int64 `json:"refused"` // for max_tunnels
}

// Worker describes one worker process.
type Worker struct {
	ID       string    `json:"id"`
	PID      int       `json:"pid"`   // 0 while it has not been started
	State    string    `json:"state"` // starting, ready, busy, draining, stuck or exited
	Socket   string    `json:"socket"`
	Started  time.Time `json:"started"`
	Requests int64     `json:"requests"`
	Active   int       `json:"active"`
	Tunnels  int       `json:"tunnels"` // of sites[].tunnels.open
	Memory   Memory    `json:"memory"`

	Generation int       `json:"generation"`
	Since      time.Time `json:"since"`            // when State began
	CPU        float64   `json:"cpu_seconds"`      // processor time since it started
	Running    []Running `json:"running"`          // the requests that are Active
	Merged     int64     `json:"merged,omitempty"` // bytes that the kernel has merged with other pages; absent if none are
}

// Running is a request that a worker runs.
type Running struct {
	What  string    `json:"what"` // method and path
	Since time.Time `json:"since"`
}

// Service describes a process that runs beside a site's workers.
type Service struct {
	Name     string      `json:"name"`
	PID      int         `json:"pid"`     // 0 while it does not run
	State    string      `json:"state"`   // running, stopping, waiting or stopped
	StopBy   *time.Time  `json:"stop_by"` // when a process that is stopping is killed; else null
	Restarts int         `json:"restarts"`
	Looping  bool        `json:"looping"` // it has failed three times within the last five minutes
	Memory   Memory      `json:"memory"`  // of the process itself, without its children
	LastExit string      `json:"last_exit"`
	Old      *OldService `json:"old"` // null if there is none
}

// OldService describes the old process of a service with overlap, which finishes its work
// while the new one runs.
type OldService struct {
	PID    int       `json:"pid"`
	StopBy time.Time `json:"stop_by"` // when it is killed
	Memory Memory    `json:"memory"`
}

// Cron describes a command that a site runs on a schedule.
type Cron struct {
	Name     string     `json:"name"`
	Schedule string     `json:"schedule"`
	Next     time.Time  `json:"next"`
	PID      int        `json:"pid"`     // of the run under way; 0 if there is none
	StopBy   *time.Time `json:"stop_by"` // when a run that is stopping is killed; else null
	Runs     int        `json:"runs"`
	Skipped  int        `json:"skipped"`
	Memory   Memory     `json:"memory"` // of the run under way, without its children
	LastExit string     `json:"last_exit"`
}
