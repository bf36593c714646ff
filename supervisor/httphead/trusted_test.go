package httphead

import (
	"net/netip"
	"testing"
)

func prefixes(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func TestForwarded_Client(t *testing.T) {
	t.Parallel()
	const client = "198.51.100.7"
	v6 := Client{Addr: "2600::1", Port: "0"}
	tests := []struct {
		name string
		f    Forwarded
		want Client
	}{
		{"nothing", Forwarded{}, Client{}},
		{"address", Forwarded{For: client}, Client{Addr: client, Port: "0"}},
		{"port", Forwarded{For: client + ":4711"}, Client{Addr: client, Port: "4711"}},
		{"IPv6", Forwarded{For: "2600::1"}, v6},
		{"IPv6 in brackets", Forwarded{For: "[2600::1]"}, v6},
		{"IPv6 with port", Forwarded{For: "[2600::1]:80"}, Client{Addr: "2600::1", Port: "80"}},
		{"quoted", Forwarded{For: `"2600::1"`}, v6},
		{"quoted with port", Forwarded{For: ` "[2600::1]:80"	`}, Client{Addr: "2600::1", Port: "80"}},
		{"IPv4 in IPv6", Forwarded{For: "::ffff:" + client}, Client{Addr: client, Port: "0"}},
		{"IPv4 in IPv6, port", Forwarded{For: "[::ffff:" + client + "]:9"}, Client{Addr: client, Port: "9"}},

		{"zone", Forwarded{For: `fe80::1%x - - [] "GET /fake HTTP/1.1" 200 1`}, Client{}},
		{"zone in brackets", Forwarded{For: `[fe80::1%eth0]:80`}, Client{}},
		{"bare zone", Forwarded{For: `fe80::1%eth0`}, Client{}},
		{"no address", Forwarded{For: "unknown"}, Client{}},
		{"a name", Forwarded{For: "client.example"}, Client{}},
		{"leading zero", Forwarded{For: "198.51.100.07"}, Client{}},
		{"brackets around IPv4", Forwarded{For: "[" + client + "]"}, Client{}},
		{"half a bracket", Forwarded{For: "[2600::1"}, Client{}},
		{"other half", Forwarded{For: "2600::1]"}, Client{}},
		{"no port behind the colon", Forwarded{For: client + ":"}, Client{}},
		{"port too large", Forwarded{For: client + ":65536"}, Client{}},
		{"port with a sign", Forwarded{For: client + ":+1"}, Client{}},
		{"odd quote", Forwarded{For: `"` + client}, Client{}},
		{"quote inside", Forwarded{For: client + `"`}, Client{}},
		{"words behind a quote", Forwarded{For: `"` + client + `" x`}, Client{}},
		{"two in one", Forwarded{For: client + " " + client}, Client{}},

		{"forged before", Forwarded{For: "6.6.6.6, " + client}, Client{Addr: client, Port: "0"}},
		{"odd quote before", Forwarded{For: `"6.6.6.6, ` + client}, Client{Addr: client, Port: "0"}},
		{"garbage before", Forwarded{For: "\xff;;, " + client}, Client{Addr: client, Port: "0"}},
		{"chain", Forwarded{For: "6.6.6.6," + client + ":1,10.0.0.3,10.0.0.2:80"}, Client{Addr: client, Port: "1"}},
		{"garbage in a chain", Forwarded{For: client + ", x, 10.0.0.2"}, Client{Addr: "10.0.0.2", Port: "0"}},
		{"nothing in a chain", Forwarded{For: client + ",,10.0.0.2"}, Client{Addr: "10.0.0.2", Port: "0"}},
		{"all are proxies", Forwarded{For: "10.0.0.3, 10.0.0.2"}, Client{Addr: "10.0.0.3", Port: "0"}},

		{"https", Forwarded{Proto: "https"}, Client{Scheme: "https"}},
		{"HTTPS", Forwarded{Proto: "HTTPS"}, Client{Scheme: "https"}},
		{"wss", Forwarded{Proto: "wss"}, Client{Scheme: "https"}},
		{"Ws", Forwarded{Proto: "Ws"}, Client{Scheme: "http"}},
		{"last scheme", Forwarded{Proto: "https, http"}, Client{Scheme: "http"}},
		{"last scheme, https", Forwarded{Proto: "http ,https "}, Client{Scheme: "https"}},
		{"no scheme", Forwarded{Proto: "gopher"}, Client{}},

		{"Forwarded", Forwarded{Elements: "for=" + client + ";proto=https;host=shop.example:8"}, Client{client, "0", "https", "shop.example:8"}},
		{"Forwarded, in capitals", Forwarded{Elements: "FOR=" + client + "; Proto=HTTPS ;by=_x"}, Client{Addr: client, Port: "0", Scheme: "https"}},
		{"Forwarded, quoted", Forwarded{Elements: `for="[2600::1]:4711";host="a.example"`}, Client{Addr: "2600::1", Port: "4711", Host: "a.example"}},
		{"Forwarded, escaped", Forwarded{Elements: `for="198\.51.100.7";ext="a\"b,c;d\\"`}, Client{Addr: client, Port: "0"}},
		{"Forwarded, hidden port", Forwarded{Elements: `for="[2600::1]:_secret"`}, v6},
		{"Forwarded, unknown", Forwarded{Elements: "for=6.6.6.6, for=unknown;proto=https"}, Client{Scheme: "https"}},
		{"Forwarded, hidden", Forwarded{Elements: `for=6.6.6.6;proto=http, for="_hidden";proto=https, for=10.0.0.2`}, Client{Addr: "10.0.0.2", Port: "0", Scheme: "https"}},
		{"Forwarded, chain", Forwarded{Elements: "for=6.6.6.6;proto=http;host=evil, for=" + client + ";proto=https;host=a,for=10.0.0.2;proto=http"}, Client{client, "0", "https", "a"}},
		{"Forwarded, odd quote before", Forwarded{Elements: `for="6.6.6.6, for=` + client}, Client{Addr: client, Port: "0"}},
		{"Forwarded, odd quote inside", Forwarded{Elements: `for=6.6.6.6, for="1.1.1.1`}, Client{}},
		{"Forwarded, for twice", Forwarded{Elements: "for=6.6.6.6;for=" + client}, Client{}},
		{"Forwarded, no pair", Forwarded{Elements: client}, Client{}},
		{"Forwarded, no host", Forwarded{Elements: "for=" + client + `;host="a b"`}, Client{}},
		{"Forwarded, empty elements", Forwarded{Elements: "for=" + client + ";"}, Client{Addr: client, Port: "0"}},

		{"both", Forwarded{For: client, Elements: "for=6.6.6.6;proto=https;host=evil"}, Client{Addr: client, Port: "0"}},
		{"both, but no address", Forwarded{Proto: "http", Elements: "for=6.6.6.6;proto=https"}, Client{Scheme: "http"}},
		{"both, but a host", Forwarded{Host: "a", Elements: "for=6.6.6.6;proto=https"}, Client{}},
	}
	for _, test := range tests {
		if got := test.f.Client(prefixes("10.0.0.0/8")); got != test.want {
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
		for _, f := range []Forwarded{{For: addrs, Proto: addrs}, {Elements: elements}} {
			v := f.Client(prefixes("10.0.0.0/8", "::/1"))
			if addr, err := netip.ParseAddr(v.Addr); v.Addr != "" && (err != nil || addr.Zone() != "" || addr.Is4In6()) {
				t.Errorf("%q: got the address %q", f, v.Addr)
			}
			if _, err := NormalizeHost(v.Host); err != nil || v.Scheme != "" && v.Scheme != "http" && v.Scheme != "https" {
				t.Errorf("%q: got the host %q and the scheme %q", f, v.Host, v.Scheme)
			}
		}
		want := Client{Addr: "192.0.2.1", Port: "0", Scheme: "https"}
		for _, f := range []Forwarded{
			{For: addrs + ", 192.0.2.1", Proto: elements + ", https", Elements: elements},
			{Elements: elements + `, for="192.0.2.1";proto=https`},
		} {
			if v := f.Client(prefixes("10.0.0.0/8")); v != want {
				t.Errorf("%q: got %+v", f, v)
			}
		}
	})
}
