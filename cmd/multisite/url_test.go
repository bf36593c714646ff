package main

import (
	"testing"

	"github.com/multisite/multisite/supervisor/config"
)

func TestSiteURL_OpensInABrowserHere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, addr string
		site       config.Site
		want       string
		secure     []string
	}{
		{"with TLS", "127.0.0.1:8080", config.Site{ServerName: "blog.localhost"}, "https://blog.localhost:8443/", []string{"127.0.0.1:8443"}},
		{"port 443", "127.0.0.1:8080", config.Site{ServerName: "blog.localhost"}, "https://blog.localhost/", []string{"[::]:443"}},
		{"without TLS of its own", "127.0.0.1:8080", config.Site{ServerName: "blog.localhost", TLS: config.TLS{Mode: config.TLSOff}}, "http://blog.localhost:8080/", []string{"[::]:443"}},
		{"its name", "127.0.0.1:8080", config.Site{ServerName: "blog.example.com"}, "http://blog.example.com:8080/", nil},
		{"port 80", "0.0.0.0:80", config.Site{ServerName: "blog.example.com"}, "http://blog.example.com/", nil},
		{"an alias that needs no DNS", "127.0.0.1:8080",
			config.Site{ServerName: "blog.example.com", Aliases: []string{"www.example.com", "*.blog.localhost", "blog.localhost"}},
			"http://blog.localhost:8080/", nil},
		{"below a prefix", "127.0.0.1:8080", config.Site{ServerName: "example.com", Mount: "/shop"}, "http://example.com:8080/shop/", nil},
		{"no name", "127.0.0.1:8080", config.Site{Default: true}, "http://127.0.0.1:8080/", nil},
		{"no name, every address", "[::]:8080", config.Site{Default: true}, "http://localhost:8080/", nil},
		{"no name, IPv6", "[::1]:8080", config.Site{Default: true}, "http://[::1]:8080/", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := siteURL(&tt.site, []string{tt.addr, "10.0.0.1:9"}, tt.secure); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
