package fastloop

import (
	"net/netip"
	"testing"
)

// BenchmarkSimple parses what a browser sends, directly and through a proxy.
func BenchmarkSimple(b *testing.B) {
	const browser = "GET /a/b?c=d HTTP/1.1\r\nHost: site.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n" +
		"Accept-Language: en\r\nAccept-Encoding: gzip, br\r\nCookie: sessionid=0123456789abcdef\r\nConnection: keep-alive\r\n"
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	for name, head := range map[string]string{
		"direct":  browser + "\r\n",
		"proxy":   browser + "X-Forwarded-For: 203.0.113.9, 10.0.0.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: site.test\r\n\r\n",
		"percent": "GET /a%20b" + browser[len("GET /a/b"):] + "\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			data := []byte(head)
			for b.Loop() {
				r, ok := parseSimple(data, name == "proxy")
				if !ok {
					b.Fatal("not simple")
				}
				if r.trusted {
					r.setForwarded(trusted)
				}
			}
		})
	}
}
