// Package metrics exports what a supervisor knows of its sites to Prometheus, in its text
// format, as OpenMetrics, and as protobuf with native histograms. It counts nothing itself:
// each scrape is made from a snapshot of what the parts of the supervisor have counted.
// The sets of labels are bounded by sites.toml, never by visitors or what a site does.
package metrics

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	mostScrapes = 2 // at a time; others are told to come later
	scrapeTime  = 10 * time.Second
)

// Handler answers /metrics with what source returns.
func Handler(source func() Snapshot, log *slog.Logger) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(source))
	scrape := promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true, MaxRequestsInFlight: mostScrapes, Timeout: scrapeTime,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), ErrorHandling: promhttp.HTTPErrorOnError,
	})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", scrape)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rebound(r) {
			http.Error(w, "On a loopback address the metrics answer only to localhost or an IP address.", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// rebound reports whether a request may come from a web page whose name leads to this
// machine: it came to a loopback address under a name that is not the machine's own.
func rebound(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || !local.IP.IsLoopback() {
		return false
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err != nil && host != "localhost" && !strings.HasSuffix(host, ".localhost")
}
