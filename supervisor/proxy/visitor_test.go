package proxy

import (
	"net/netip"
	"testing"
)

func TestForwarded_Visitor(t *testing.T) {
	t.Parallel()
	const client = "198.51.100.7"
	v6 := visitor{addr: "2600::1", port: "0"}
	tests := []struct {
		name string
		f    forwarded
		want visitor
	}{
		{"nothing", forwarded{}, visitor{}},
		{"address", forwarded{addrs: client}, visitor{addr: client, port: "0"}},
		{"port", forwarded{addrs: client + ":4711"}, visitor{addr: client, port: "4711"}},
		{"IPv6", forwarded{addrs: "2600::1"}, v6},
		{"IPv6 in brackets", forwarded{addrs: "[2600::1]"}, v6},
		{"IPv6 with port", forwarded{addrs: "[2600::1]:80"}, visitor{addr: "2600::1", port: "80"}},
		{"quoted", forwarded{addrs: `"2600::1"`}, v6},
		{"quoted with port", forwarded{addrs: ` "[2600::1]:80"	`}, visitor{addr: "2600::1", port: "80"}},
		{"IPv4 in IPv6", forwarded{addrs: "::ffff:" + client}, visitor{addr: client, port: "0"}},
		{"IPv4 in IPv6, port", forwarded{addrs: "[::ffff:" + client + "]:9"}, visitor{addr: client, port: "9"}},

		{"zone", forwarded{addrs: `fe80::1%x - - [] "GET /fake HTTP/1.1" 200 1`}, visitor{}},
		{"zone in brackets", forwarded{addrs: `[fe80::1%eth0]:80`}, visitor{}},
		{"bare zone", forwarded{addrs: `fe80::1%eth0`}, visitor{}},
		{"no address", forwarded{addrs: "unknown"}, visitor{}},
		{"a name", forwarded{addrs: "client.example"}, visitor{}},
		{"leading zero", forwarded{addrs: "198.51.100.07"}, visitor{}},
		{"brackets around IPv4", forwarded{addrs: "[" + client + "]"}, visitor{}},
		{"half a bracket", forwarded{addrs: "[2600::1"}, visitor{}},
		{"other half", forwarded{addrs: "2600::1]"}, visitor{}},
		{"no port behind the colon", forwarded{addrs: client + ":"}, visitor{}},
		{"port too large", forwarded{addrs: client + ":65536"}, visitor{}},
		{"port with a sign", forwarded{addrs: client + ":+1"}, visitor{}},
		{"odd quote", forwarded{addrs: `"` + client}, visitor{}},
		{"quote inside", forwarded{addrs: client + `"`}, visitor{}},
		{"words behind a quote", forwarded{addrs: `"` + client + `" x`}, visitor{}},
		{"two in one", forwarded{addrs: client + " " + client}, visitor{}},

		{"forged before", forwarded{addrs: "6.6.6.6, " + client}, visitor{addr: client, port: "0"}},
		{"odd quote before", forwarded{addrs: `"6.6.6.6, ` + client}, visitor{addr: client, port: "0"}},
		{"garbage before", forwarded{addrs: "\xff;;, " + client}, visitor{addr: client, port: "0"}},
		{"chain", forwarded{addrs: "6.6.6.6," + client + ":1,10.0.0.3,10.0.0.2:80"}, visitor{addr: client, port: "1"}},
		{"garbage in a chain", forwarded{addrs: client + ", x, 10.0.0.2"}, visitor{addr: "10.0.0.2", port: "0"}},
		{"nothing in a chain", forwarded{addrs: client + ",,10.0.0.2"}, visitor{addr: "10.0.0.2", port: "0"}},
		{"all are proxies", forwarded{addrs: "10.0.0.3, 10.0.0.2"}, visitor{addr: "10.0.0.3", port: "0"}},

		{"https", forwarded{proto: "https"}, visitor{scheme: "https"}},
		{"HTTPS", forwarded{proto: "HTTPS"}, visitor{scheme: "https"}},
		{"wss", forwarded{proto: "wss"}, visitor{scheme: "https"}},
		{"Ws", forwarded{proto: "Ws"}, visitor{scheme: "http"}},
		{"last scheme", forwarded{proto: "https, http"}, visitor{scheme: "http"}},
		{"last scheme, https", forwarded{proto: "http ,https "}, visitor{scheme: "https"}},
		{"no scheme", forwarded{proto: "gopher"}, visitor{}},

		{"Forwarded", forwarded{elements: "for=" + client + ";proto=https;host=shop.example:8"}, visitor{client, "0", "https", "shop.example:8"}},
		{"Forwarded, in capitals", forwarded{elements: "FOR=" + client + "; Proto=HTTPS ;by=_x"}, visitor{addr: client, port: "0", scheme: "https"}},
		{"Forwarded, quoted", forwarded{elements: `for="[2600::1]:4711";host="a.example"`}, visitor{addr: "2600::1", port: "4711", host: "a.example"}},
		{"Forwarded, escaped", forwarded{elements: `for="198\.51.100.7";ext="a\"b,c;d\\"`}, visitor{addr: client, port: "0"}},
		{"Forwarded, hidden port", forwarded{elements: `for="[2600::1]:_secret"`}, v6},
		{"Forwarded, unknown", forwarded{elements: "for=6.6.6.6, for=unknown;proto=https"}, visitor{scheme: "https"}},
		{"Forwarded, hidden", forwarded{elements: `for=6.6.6.6;proto=http, for="_hidden";proto=https, for=10.0.0.2`}, visitor{addr: "10.0.0.2", port: "0", scheme: "https"}},
		{"Forwarded, chain", forwarded{elements: "for=6.6.6.6;proto=http;host=evil, for=" + client + ";proto=https;host=a,for=10.0.0.2;proto=http"}, visitor{client, "0", "https", "a"}},
		{"Forwarded, odd quote before", forwarded{elements: `for="6.6.6.6, for=` + client}, visitor{addr: client, port: "0"}},
		{"Forwarded, odd quote inside", forwarded{elements: `for=6.6.6.6, for="1.1.1.1`}, visitor{}},
		{"Forwarded, for twice", forwarded{elements: "for=6.6.6.6;for=" + client}, visitor{}},
		{"Forwarded, no pair", forwarded{elements: client}, visitor{}},
		{"Forwarded, no host", forwarded{elements: "for=" + client + `;host="a b"`}, visitor{}},
		{"Forwarded, empty elements", forwarded{elements: "for=" + client + ";"}, visitor{addr: client, port: "0"}},

		{"both", forwarded{addrs: client, elements: "for=6.6.6.6;proto=https;host=evil"}, visitor{addr: client, port: "0"}},
		{"both, but no address", forwarded{proto: "http", elements: "for=6.6.6.6;proto=https"}, visitor{scheme: "http"}},
		{"both, but a host", forwarded{host: "a", elements: "for=6.6.6.6;proto=https"}, visitor{}},
	}
	for _, test := range tests {
		if got := test.f.visitor(prefixes("10.0.0.0/8")); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}

// FuzzForwarded: whatever is written before, it ends with what the proxy adds; and
// there is no address that is none.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{"", "6.6.6.6", `"`, `\`, `for="`, `for=1.1.1.1;host="\`, "fe80::1%x", "[::1]:80,", `for="[::1%z]"`, ", ,;"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, addrs, elements string) {
		for _, f := range []forwarded{{addrs: addrs, proto: addrs}, {elements: elements}} {
			v := f.visitor(prefixes("10.0.0.0/8", "::/1"))
			if addr, err := netip.ParseAddr(v.addr); v.addr != "" && (err != nil || addr.Zone() != "" || addr.Is4In6()) {
				t.Errorf("%q: got the address %q", f, v.addr)
			}
			if _, err := NormalizeHost(v.host); err != nil || v.scheme != "" && v.scheme != "http" && v.scheme != "https" {
				t.Errorf("%q: got the host %q and the scheme %q", f, v.host, v.scheme)
			}
		}
		want := visitor{addr: "192.0.2.1", port: "0", scheme: "https"}
		for _, f := range []forwarded{
			{addrs: addrs + ", 192.0.2.1", proto: elements + ", https", elements: elements},
			{elements: elements + `, for="192.0.2.1";proto=https`},
		} {
			if v := f.visitor(prefixes("10.0.0.0/8")); v != want {
				t.Errorf("%q: got %+v", f, v)
			}
		}
	})
}
