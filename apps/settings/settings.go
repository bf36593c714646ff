// Package settings reads the settings of a Go site: a TOML file that may extend another
// one, and the URLconf that it names.
//
// Settings are plain values. Load reads files and changes nothing, so it can check a file
// before a running site uses it; only Secret writes. All mistakes in all files are
// reported at once, each with its line.
package settings

import (
	"net"
	"strings"
	"time"
)

// Builtin is the prefix of settings that are part of the program, such as
// "builtin:subdomain1".
const Builtin = "builtin:"

// Settings are the settings of one site.
type Settings struct {
	SiteID        int64
	InstalledApps []string
	URLs          map[string]string // URL path to name of an app: "/admin/" to "admin"
	Database      string            // absolute path
	SecretKeyFile string            // absolute path
	AllowedHosts  []string          // lower case; ".example.com" also matches all names below it, "*" any name
	Debug         bool
	Zone          *time.Location
	Files         []string // the files that were read, the site's own first
}

// Allows reports whether the site answers requests for this host.
func (s Settings) Allows(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, allowed := range s.AllowedHosts {
		parent, wild := strings.CutPrefix(allowed, ".")
		switch {
		case allowed == "*", host == allowed:
			return true
		case wild && (host == parent || strings.HasSuffix(host, allowed)):
			return true
		}
	}
	return false
}

// Domain returns the first allowed host that is a single name, or "localhost".
func (s Settings) Domain() string {
	for _, host := range s.AllowedHosts {
		if host != "*" && !strings.HasPrefix(host, ".") {
			return host
		}
	}
	return "localhost"
}
