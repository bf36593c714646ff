package rules

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// Maintenance is that a site is closed to all but some addresses.
type Maintenance struct {
	Since time.Time      `json:"since"`
	Allow []netip.Prefix `json:"allow"` // who gets the site as it is
	Page  *Page          `json:"page"`  // nil: the site's page of 503
}

// maintenancePatience is when a client may ask again.
const maintenancePatience = time.Minute

func (m *Maintenance) lets(addr string) bool { return contains(m.Allow, addr) }

func (m *Maintenance) answer() *Answer {
	return &Answer{Status: http.StatusServiceUnavailable, Why: "maintenance", Fields: [][2]string{retryAfter(maintenancePatience)}, Page: m.Page}
}

// retryAfter returns the header that says so, in whole seconds.
func retryAfter(wait time.Duration) [2]string {
	return [2]string{"Retry-After", strconv.Itoa(int((wait + time.Second - 1) / time.Second))}
}

// contains reports whether an address is in one of the networks.
func contains(networks []netip.Prefix, addr string) bool {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(ip) })
}
