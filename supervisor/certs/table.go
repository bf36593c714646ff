package certs

import (
	"crypto/tls"
	"net/netip"
	"strings"
)

// source has the certificate of some names.
type source interface {
	certificate(name string) *tls.Certificate // of one of the names; nil: there is none
}

// table finds the source of a name as the front door finds the site of a host: an exact
// name beats a wildcard, a longer wildcard a shorter one, and the first of two counts. It
// does not change.
type table struct {
	exact     map[string]source
	wildcards map[string]source // by what follows the star: ".example.com"
}

func newTable() *table { return &table{exact: map[string]source{}, wildcards: map[string]source{}} }

func (t *table) add(hosts []string, s source) {
	for _, host := range hosts {
		in := t.exact
		if suffix, ok := strings.CutPrefix(host, "*"); ok {
			in, host = t.wildcards, suffix
		}
		if in[host] == nil {
			in[host] = s
		}
	}
}

// lookup returns the source of a name in lower case, or nil.
func (t *table) lookup(name string) source {
	if s := t.exact[name]; s != nil {
		return s
	}
	for {
		dot := strings.IndexByte(name, '.')
		if dot < 0 {
			return nil
		}
		if s := t.wildcards[name[dot:]]; s != nil {
			return s
		}
		name = name[dot+1:]
	}
}

// hostOfAddr returns an address as a normalized host name.
func hostOfAddr(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		return "[" + addr.String() + "]"
	}
	return addr.String()
}
