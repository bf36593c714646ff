// Package settings reads what one Go site is: a TOML file that may extend
// another one, and the URLconf it names.
//
// Settings are pure values. Loading reads files and changes nothing, so the
// same code validates a file before a running site sees it; Secret is the one
// function here that writes. Every mistake in every file of the chain is
// reported at once, with its line.
package settings

import (
	"net"
	"strings"
	"time"
)

// Builtin begins the names of the settings that are part of the binary:
// "builtin:subdomain1".
const Builtin = "builtin:"

// Settings say which apps a site is made of, and where they live.
type Settings struct {
	SiteID        int64
	InstalledApps []string
	URLs          map[string]string // path to app: "/admin/" to "admin"
	Database      string            // absolute path
	SecretKeyFile string            // absolute path
	AllowedHosts  []string          // lower case; ".example.com" is it and all below it, "*" any
	Debug         bool
	Zone          *time.Location
	Files         []string // every file that was read, the site's own first
}

// Allows reports whether the site answers to a request's Host.
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

// Domain is the first host that is one name, or "localhost".
func (s Settings) Domain() string {
	for _, host := range s.AllowedHosts {
		if host != "*" && !strings.HasPrefix(host, ".") {
			return host
		}
	}
	return "localhost"
}
