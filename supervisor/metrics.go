package supervisor

import (
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/gate"
	"github.com/multisite/multisite/supervisor/metrics"
)

// metricsAge is how old measurements of memory may be that a scrape gets.
const metricsAge = 5 * time.Second

// metricsDoor is where Prometheus gets the metrics. A reload may move it.
type metricsDoor struct {
	log *slog.Logger // set before it is used

	mu sync.Mutex
	// mu protects all below.
	at      *gate.Gate   // nil: nowhere
	of      string       // the address in sites.toml
	handler http.Handler // nil until serve
	server  *http.Server // serves at; nil: it is not served
	ended   sync.WaitGroup
}

// listenForMetrics opens the address; an empty one is no listener.
func listenForMetrics(addr string, in *Inheritance) (net.Listener, error) {
	switch {
	case addr == "":
		return nil, nil
	case in != nil && in.MetricsOf == addr:
		return in.listener(in.Metrics)
	}
	return net.Listen("tcp", addr)
}

// move serves l, which listens on the address of, instead of what was before. l is nil for
// none.
func (d *metricsDoor) move(l net.Listener, of string) {
	d.mu.Lock()
	old, oldAt := d.server, d.at
	d.at, d.of, d.server = nil, of, nil
	if l != nil {
		d.at = gate.New(l)
	}
	d.beginLocked()
	d.mu.Unlock()
	if old != nil {
		_ = old.Close() // a scrape that is cut is tried again
	} else if oldAt != nil {
		_ = oldAt.Close()
	}
}

// serve begins to answer with handler.
func (d *metricsDoor) serve(handler http.Handler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.handler = handler
	d.beginLocked()
}

func (d *metricsDoor) beginLocked() {
	if d.at == nil || d.handler == nil {
		return
	}
	at := d.at
	server := &http.Server{Handler: d.handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ConnState: at.ConnState}
	d.server = server
	d.ended.Go(func() {
		if err := server.Serve(at); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("metrics are not served any more", "error", err)
		}
	})
}

// addr returns where it listens; "" is nowhere.
func (d *metricsDoor) addr() string {
	if at := d.gate(); at != nil {
		return at.Addr().String()
	}
	return ""
}

// gate returns what it listens on; nil: nothing.
func (d *metricsDoor) gate() *gate.Gate {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at
}

// close ends it, and waits.
func (d *metricsDoor) close() {
	d.move(nil, "")
	d.ended.Wait()
}

// snapshot returns what a scrape shows.
func (s *Supervisor) snapshot() metrics.Snapshot {
	look := s.measures.look(metricsAge)
	snapshot := metrics.Snapshot{Status: s.statusOf(look), Sites: map[string]metrics.Site{}}
	for _, t := range s.sites.all() {
		m := metrics.Site{Measured: t.stats.Measured(), Exits: t.exitCounts()}
		if python := t.python(); python != nil {
			if pid := python.ZygotePID(); pid != 0 {
				zygote := memory(look.memory(pid))
				m.Zygote = &zygote
			}
		}
		snapshot.Sites[t.name] = m
	}
	return snapshot
}

// countExit counts the end of a worker.
func (t *site) countExit(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.exits == nil {
		t.exits = map[string]int64{}
	}
	t.exits[reason]++
}

// exitCounts returns how many workers have ended, by reason.
func (t *site) exitCounts() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.exits)
}
