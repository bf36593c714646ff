package httphead

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// IsTrusted reports whether a peer, "10.0.0.1:1234", is a proxy that may speak for others.
func IsTrusted(peer string, trusted []netip.Prefix) bool {
	if len(trusted) == 0 {
		return false
	}
	addr, err := netip.ParseAddrPort(peer)
	return err == nil && contains(trusted, addr.Addr())
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap()
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// OnlyProxy reports whether only a proxy may send a header.
func OnlyProxy(name string) bool {
	const prefix = "X-Forwarded-"
	switch len(name) { // comparing takes longer
	case len("Forwarded"):
		return strings.EqualFold(name, "Forwarded")
	case len(RemoteUser):
		return strings.EqualFold(name, RemoteUser)
	case len(RequestID):
		if strings.EqualFold(name, RequestID) {
			return true
		}
	}
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// RemoteUser is the header, in canonical form, by which a proxy names a user whose password
// it has checked.
const RemoteUser = "Remote-User"

// Forwarded is what a trusted proxy says of its client, in X-Forwarded-For, -Proto and
// -Host or in Forwarded (RFC 7239). Lines of one name are joined by commas.
//
// A proxy writes one or the other, and passes on what its client has sent of the other.
// Nearly all write X-Forwarded-*, so Forwarded counts only if there is none of those.
type Forwarded struct {
	For, Proto, Host string // X-Forwarded-*
	Elements         string // Forwarded
}

// Client is where a request comes from. "" is what no trusted proxy has said.
type Client struct {
	Addr   string // a valid address without a zone
	Port   string // of Addr; "0": not known
	Scheme string // "http" or "https"
	Host   string // from Forwarded
}

// hop is what one proxy says of its peer.
type hop struct {
	node         netip.AddrPort // not valid: not said; port 0: port not said
	scheme, host string
}

// Legacy reports whether there is a header X-Forwarded-*, so that Forwarded does not count.
func (f *Forwarded) Legacy() bool { return f.For != "" || f.Proto != "" || f.Host != "" }

// Client returns what is to be believed. Each proxy adds its peer at the end of the list,
// which is therefore read backwards for as long as its writers are trusted: the client
// is the first address that is not trusted, or the last that is known.
func (f *Forwarded) Client(trusted []netip.Prefix) (c Client) {
	list, parse := f.Elements, parseElement
	if f.Legacy() {
		list, parse = f.For, parseAddress
	}
	var client netip.AddrPort
	for more := list != ""; more; {
		var last string
		list, last, more = cutLast(list, ',')
		h, ok := parse(last)
		if !ok {
			break
		}
		c.Scheme, c.Host = h.scheme, h.host
		if !h.node.IsValid() {
			break
		}
		client = h.node
		more = more && contains(trusted, client.Addr())
	}
	if f.Legacy() {
		_, last, _ := cutLast(f.Proto, ',')
		c.Scheme = schemeOf(last)
	}
	if client.IsValid() {
		c.Addr, c.Port = client.Addr().Unmap().String(), strconv.Itoa(int(client.Port()))
	}
	return c
}

// parseAddress parses an element of X-Forwarded-For.
func parseAddress(s string) (h hop, ok bool) {
	if s, ok = unquote(s); ok {
		h.node = parseNode(s)
	}
	return h, h.node.IsValid()
}

// parseElement parses an element of Forwarded, which may hide the address of the client
// (for=unknown, for=_name).
func parseElement(s string) (h hop, ok bool) {
	var node, proto, host string
	for more := true; more; {
		var pair string
		s, pair, more = cutLast(s, ';')
		name, value, found := strings.Cut(strings.Trim(pair, " \t"), "=")
		value, ok = unquote(value)
		if !ok || !found && name != "" {
			return hop{}, false
		}
		to := new(string) // for other parameters
		switch {
		case strings.EqualFold(name, "for"):
			to = &node
		case strings.EqualFold(name, "proto"):
			to = &proto
		case strings.EqualFold(name, "host"):
			to = &host
		}
		if *to != "" { // the parameter is repeated
			return hop{}, false
		}
		*to = value
	}
	if _, err := NormalizeHost(host); err != nil {
		return hop{}, false
	}
	return hop{parseNode(node), schemeOf(proto), host}, true
}

// parseNode parses an address with or without a port. An IPv6 address with a port is in
// brackets. An address with a zone is refused: it means nothing on another machine.
func parseNode(s string) netip.AddrPort {
	host, port := s, "0"
	if i := strings.LastIndexByte(s, ':'); i > 0 && (s[i-1] == ']' || strings.IndexByte(s, ':') == i) {
		host, port = s[:i], s[i+1:]
	}
	if strings.HasPrefix(port, "_") { // hidden, RFC 7239, section 6.2
		port = "0"
	}
	bare, bracket := strings.CutPrefix(host, "[")
	bare, end := strings.CutSuffix(bare, "]")
	addr, err := netip.ParseAddr(bare)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || bracket != end || bracket && !addr.Is6() || addr.Zone() != "" {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr, uint16(n))
}

// schemeOf returns the scheme that is reported to an application, or "" for an unknown one.
func schemeOf(s string) string {
	s, _ = unquote(s)
	switch {
	case strings.EqualFold(s, "https"), strings.EqualFold(s, "wss"):
		return "https"
	case strings.EqualFold(s, "http"), strings.EqualFold(s, "ws"):
		return "http"
	}
	return ""
}

// cutLast cuts a list before its last element. It looks for quotes from the end: what a
// client has written stands before what a proxy has added, so that an odd quote of the
// client's cannot hide the proxy's element.
func cutLast(list string, separator byte) (rest, last string, more bool) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch c := list[i]; {
		case c == '"' && !isEscaped(list[:i]):
			quoted = !quoted
		case c == separator && !quoted:
			return list[:i], list[i+1:], true
		}
	}
	return "", list, false
}

// isEscaped reports whether s ends with a backslash that escapes what follows.
func isEscaped(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// unquote returns a value without spaces around it, and without the quotes of a quoted
// string.
func unquote(s string) (value string, ok bool) {
	s = strings.Trim(s, " \t")
	inner, begun := strings.CutPrefix(s, `"`)
	if !begun {
		return s, !strings.Contains(s, `"`)
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		switch inner[i] {
		case '"':
			return b.String(), i == len(inner)-1
		case '\\':
			i++
		}
		if i < len(inner) {
			b.WriteByte(inner[i])
		}
	}
	return "", false
}
