package httphead

import (
	"net/netip"
	"strings"
	"testing"
)

func TestNormalizeHost(t *testing.T) {
	t.Parallel()
	tests := []struct{ host, want string }{
		{"example.com", "example.com"},
		{"EXAMPLE.com", "example.com"},
		{"example.com:8080", "example.com"},
		{"example.com:", "example.com"},
		{"example.com.", "example.com"},
		{"Example.Com.:443", "example.com"},
		{"my_site.example", "my_site.example"},
		{"-a-.b", "-a-.b"},
		{"localhost", "localhost"},
		{"127.0.0.1:80", "127.0.0.1"},
		{"[::1]", "[::1]"},
		{"[::1]:80", "[::1]"},
		{"[::1]:", "[::1]"},
		{"[0:0::0001]", "[::1]"},
		{"[2001:DB8::A]:65535", "[2001:db8::a]"},
		{"[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]"},
		{"", ""},
		{strings.Repeat("a", 253) + ":80", strings.Repeat("a", 253)},
	}
	for _, test := range tests {
		if got, err := NormalizeHost(test.host); err != nil || got != test.want {
			t.Errorf("NormalizeHost(%q): got %q, %v, want %q", test.host, got, err, test.want)
		}
	}
}

func TestNormalizeHost_RefusesWhatIsNoName(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		" ", "a b", "a\tb", "a/b", "a@b", "a,b", "a%20b", "a\x00", "a\n",
		".", "..", ".a", "a..", "a..b", ":80", ".:80",
		"a:b", "a:80:90", "a:-1", "a:123456", "a: 80", "a:80 ",
		"::1", "[::1", "[::1:80", "::1]", "[]", "[", "]", "[a]", "[1.2.3.4]", "[::1]x", "[::1].", "[[::1]]", "x[::1]", "[fe80::1%25eth0]",
		"*.example.com", "*", "b\u00fccher.example", "\u212a.example", // a Kelvin sign, whose lower case is k
		strings.Repeat("a", 254),
	} {
		if got, err := NormalizeHost(host); err == nil {
			t.Errorf("NormalizeHost(%q): got %q, want an error", host, got)
		}
	}
}

func FuzzNormalizeHost(f *testing.F) {
	for _, host := range []string{"", "Example.COM.:80", "[::1]:80", "[::FFFF:1.2.3.4]", "1.2.3.4", "a..", "[a]", "::1", "\u212a", "a:", "*.a"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		got, err := NormalizeHost(host)
		if err != nil {
			return
		}
		if again, err := NormalizeHost(got); err != nil || again != got {
			t.Errorf("%q is %q, and that is %q, %v", host, got, again, err)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return 'A' <= r && r <= 'Z' || r > 127 }) {
			t.Errorf("%q is %q: not lower case", host, got)
		}
		if strings.HasSuffix(got, ".") {
			t.Errorf("%q is %q: a trailing dot", host, got)
		}
		if inner, ok := strings.CutPrefix(got, "["); ok {
			if addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]")); err != nil || got != "["+addr.String()+"]" {
				t.Errorf("%q is %q: not an address", host, got)
			}
		} else if strings.Contains(got, ":") {
			t.Errorf("%q is %q: a port", host, got)
		}
		if withPort, err := NormalizeHost(got + ":8080"); got != "" && (err != nil || withPort != got) {
			t.Errorf("with a port, %q is %q, %v", got, withPort, err)
		}
	})
}
