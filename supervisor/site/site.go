// Package site holds what the two halves of the front door, fastloop and proxy, know of a
// site: which requests are its own, who runs them, its limits, and what is counted and
// logged of them. It serves nothing itself.
package site

import (
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/coding"
	"github.com/multisite/multisite/supervisor/rules"
)

// Site is what the front door needs to know of a site. It does not change after it is in
// a Table; a reload makes a new one. Clients, Asked and Stats are pointers because they
// outlive reloads, as Tunnels does.
type Site struct {
	Name string

	// The workers that run the requests.
	Backend Backend
	Fast    FastBackend // the same workers, for the fast loop; nil: only through Backend

	// Limits.
	RequestTimeout time.Duration // from claim to the end of the answer; 0: none
	MaxBody        int64         // bytes of a request body; 0: no limit
	MaxPerAddress  int           // requests that one address may have under way; 0: no limit
	Clients        *Clients      // counts those; nil only without MaxPerAddress
	MaxTunnels     int           // 0: no request may become a tunnel, since the workers do not speak HTTP
	Tunnels        *Tunnels      // counts those; nil only without MaxTunnels

	// Static files are looked up in this order, before a worker is claimed.
	Static        []Static
	Index         string      // the file that is sent for a directory; "": none is
	NoCompression bool        // files are sent as they are
	Encode        coding.Rule // which answers of workers are compressed
	Sendfile      []Static    // what workers may name to be sent instead of their answers; of two prefixes that match, the longer one comes first

	// What the operator says of requests and answers, in sites.toml or at the command line.
	Rules   *rules.Rules       // nil: there are none
	Headers *rules.Headers     // of all answers; nil: they stay as they are
	Pages   map[int]rules.Page // in place of the front door's own, by status

	Mount string // the prefix of all paths, without a slash at its end
	Asked *Asked // counts the pages that visitors ask for; nil: they are not counted

	// TLS.
	RedirectTo int           // the port where requests without TLS are redirected to; 0: they are answered
	Challenges bool          // its certificates are requested by us: we answer the authority's questions
	HSTS       time.Duration // for how long a browser is told to use only TLS; 0: it is not

	// The counters and the logs.
	Stats *Stats
	Log   *slog.Logger
	// Access is called for every answered request. It must not block, nor keep the entry;
	// may be nil.
	Access func(*Entry)
}

// Static maps a URL prefix to directories. The first that has a file wins.
type Static struct {
	Prefix string   // "/static/"; without the slash at its end the path itself may name a file
	Dirs   []string // a file may be among them if Prefix has no slash at its end
	// Only says that a worker is not asked for a file that is not found here.
	Only bool
	// As runs a function with the rights of the site's user, since a site may name any
	// directory as its own; nil: the function runs with the front door's rights.
	As func(func()) error
}

// Match returns what of a path follows the prefix, and whether the path has it.
func (d Static) Match(path string) (rest string, ok bool) {
	if rest, ok = strings.CutPrefix(path, d.Prefix); !ok || strings.HasSuffix(d.Prefix, "/") || rest == "" {
		return rest, ok
	}
	return strings.CutPrefix(rest, "/")
}

// HasStatic reports whether a path may be a file of the site.
func (s *Site) HasStatic(path string) bool {
	return slices.ContainsFunc(s.Static, func(d Static) bool {
		_, ok := d.Match(path)
		return ok
	})
}

// ChallengePath is where an authority asks whether we have a host (RFC 8555, section 8.3).
const ChallengePath = "/.well-known/acme-challenge/"

// Diverts reports whether a request may be one that the site does not get: it is redirected
// to TLS, or an authority's question. Package proxy answers both.
func (s *Site) Diverts(scheme, path string) bool {
	return s.RedirectTo != 0 && scheme != "https" || s.Challenges && strings.HasPrefix(path, ChallengePath)
}

// StrictTransport returns the value of the header Strict-Transport-Security.
func (s *Site) StrictTransport() string {
	return "max-age=" + strconv.Itoa(int(s.HSTS/time.Second))
}

// Record counts and logs an answered request.
func (s *Site) Record(e *Entry) {
	s.Counted(e)
	s.Logged(e)
}

// Counted counts an answered request, and does not log it.
func (s *Site) Counted(e *Entry) { s.Stats.record(e) }

// Logged logs an answered request that was counted.
func (s *Site) Logged(e *Entry) {
	if s.Access != nil {
		s.Access(e)
	}
}

// Clients counts the requests that each address has under way at a site. The zero
// value is ready to use. It outlives reloads.
type Clients struct {
	mu sync.Mutex
	// mu protects open
	open map[string]int // by address; never 0
}

// Len returns the number of requests under way.
func (c *Clients) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, open := range c.open {
		n += open
	}
	return n
}

// enter counts a request of an address. It returns false if the address has as many as it may.
func (c *Clients) enter(addr string, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[addr] >= most {
		return false
	}
	if c.open == nil {
		c.open = map[string]int{}
	}
	c.open[addr]++
	return true
}

func (c *Clients) leave(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[addr]--; c.open[addr] == 0 {
		delete(c.open, addr)
	}
}

// Admission is a request's share of what its address may have under way. Its owner calls
// End once. The zero value is the admission to a site without a limit.
type Admission struct {
	clients *Clients // nil: no limit, or ended, or taken
	addr    string
}

// Admit counts a request of an address. It returns false if the address has as many
// under way as it may.
func (s *Site) Admit(addr string) (Admission, bool) {
	if s.MaxPerAddress <= 0 {
		return Admission{}, true
	}
	if !s.Clients.enter(addr, s.MaxPerAddress) {
		return Admission{}, false
	}
	return Admission{s.Clients, addr}, true
}

// End ends the admission. Further calls do nothing.
func (a *Admission) End() {
	if a.clients != nil {
		a.clients.leave(a.addr)
		a.clients = nil
	}
}

// Take moves the admission to a new owner, who ends it.
func (a *Admission) Take() Admission {
	taken := *a
	a.clients = nil
	return taken
}
