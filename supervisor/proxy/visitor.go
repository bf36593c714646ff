package proxy

import (
	"net/netip"
	"strconv"
	"strings"
)

// forwarded is what a trusted proxy says of the client that it speaks for, in
// X-Forwarded-For, -Proto and -Host or in Forwarded (RFC 7239). Lines of one name are
// joined by commas.
//
// A proxy writes one or the other, and passes on what its client has sent of the other.
// Nearly all write X-Forwarded-*, so Forwarded counts only where there is none of those.
type forwarded struct{ addrs, proto, host, elements string }

// visitor is who a request comes from. "" is what nobody has said.
type visitor struct {
	addr   string // a valid address without a zone
	port   string // of addr; "0": not known
	scheme string // "http" or "https"
	host   string // from Forwarded
}

// hop is what one proxy says of whom it has heard.
type hop struct {
	node         netip.AddrPort // not valid: it does not say; port 0: nor that
	scheme, host string
}

// isOld tells that Forwarded is not to be believed.
func (f *forwarded) isOld() bool { return f.addrs != "" || f.proto != "" || f.host != "" }

// visitor returns what is to be believed. Each proxy adds whom it has heard at the end
// of the list, so that is read from there for as long as those who wrote are trusted:
// the client is the first who is not, or the last who is known.
func (f *forwarded) visitor(trusted []netip.Prefix) (v visitor) {
	list, parse := f.elements, parseElement
	if f.isOld() {
		list, parse = f.addrs, parseAddress
	}
	var client netip.AddrPort
	for more := list != ""; more; {
		var last string
		list, last, more = cutLast(list, ',')
		h, ok := parse(last)
		if !ok {
			break
		}
		v.scheme, v.host = h.scheme, h.host
		if !h.node.IsValid() {
			break
		}
		client = h.node
		more = more && contains(trusted, client.Addr())
	}
	if f.isOld() {
		_, last, _ := cutLast(f.proto, ',')
		v.scheme = schemeOf(last)
	}
	if client.IsValid() {
		v.addr, v.port = client.Addr().Unmap().String(), strconv.Itoa(int(client.Port()))
	}
	return v
}

// parseAddress reads an element of X-Forwarded-For.
func parseAddress(s string) (h hop, ok bool) {
	if s, ok = unquote(s); ok {
		h.node = parseNode(s)
	}
	return h, h.node.IsValid()
}

// parseElement reads an element of Forwarded, which may hide the address of the client
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
		to := new(string) // of another parameter
		switch {
		case strings.EqualFold(name, "for"):
			to = &node
		case strings.EqualFold(name, "proto"):
			to = &proto
		case strings.EqualFold(name, "host"):
			to = &host
		}
		if *to != "" { // there twice
			return hop{}, false
		}
		*to = value
	}
	if _, err := NormalizeHost(host); err != nil {
		return hop{}, false
	}
	return hop{parseNode(node), schemeOf(proto), host}, true
}

// parseNode reads an address with or without a port: that of IPv6 in brackets, if it
// has one. A zone means nothing on another machine.
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

// schemeOf returns the scheme under which an application knows one. "" is no such.
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

// cutLast cuts a list before its last element. It looks for quotes from the end, as
// what a client has written stands before what a proxy added: an odd one in there can
// not hide that.
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

// isEscaped tells whether what follows s does so after a backslash that counts.
func isEscaped(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// unquote returns a value that may be a quoted string, without spaces around it.
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
