package config

import "testing"

func TestSite_URLOpensInABrowserHere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, addr string
		site       Site
		want       string
		secure     []string
	}{
		{"with TLS", "127.0.0.1:8080", Site{ServerName: "blog.localhost"}, "https://blog.localhost:8443/", []string{"127.0.0.1:8443"}},
		{"port 443", "127.0.0.1:8080", Site{ServerName: "blog.localhost"}, "https://blog.localhost/", []string{"[::]:443"}},
		{"without TLS of its own", "127.0.0.1:8080", Site{ServerName: "blog.localhost", TLS: TLS{Mode: TLSOff}}, "http://blog.localhost:8080/", []string{"[::]:443"}},
		{"its name", "127.0.0.1:8080", Site{ServerName: "blog.example.com"}, "http://blog.example.com:8080/", nil},
		{"port 80", "0.0.0.0:80", Site{ServerName: "blog.example.com"}, "http://blog.example.com/", nil},
		{"an alias that needs no DNS", "127.0.0.1:8080",
			Site{ServerName: "blog.example.com", Aliases: []string{"www.example.com", "*.blog.localhost", "blog.localhost"}},
			"http://blog.localhost:8080/", nil},
		{"below a prefix", "127.0.0.1:8080", Site{ServerName: "example.com", Mount: "/shop"}, "http://example.com:8080/shop/", nil},
		{"no name", "127.0.0.1:8080", Site{Default: true}, "http://127.0.0.1:8080/", nil},
		{"no name, every address", "[::]:8080", Site{Default: true}, "http://localhost:8080/", nil},
		{"no name, IPv6", "[::1]:8080", Site{Default: true}, "http://[::1]:8080/", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.site.URL([]string{tt.addr, "10.0.0.1:9"}, tt.secure); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
