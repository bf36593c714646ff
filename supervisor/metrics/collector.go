package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/multisite/multisite/supervisor/latency"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/status"
)

// Snapshot is what one scrape shows.
type Snapshot struct {
	Status status.Status
	Sites  map[string]Site // what Status does not say, by name
}

// Site is what is exported of a site and is not in its status.
type Site struct {
	Zygote   *status.Memory // nil: it has none
	Measured site.Measured
	Exits    map[string]int64 // of workers, by reason
}

// collector makes the metrics of a scrape from a snapshot: nothing is counted here.
type collector struct {
	source func() Snapshot
	descs  map[*family]*prometheus.Desc
}

func newCollector(source func() Snapshot) *collector {
	c := &collector{source, map[*family]*prometheus.Desc{}}
	for _, f := range families {
		c.descs[f] = prometheus.NewDesc(f.name, f.help, f.labels, nil)
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range c.descs {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	s := scrape{c, to}
	snapshot := c.source()
	s.supervisor(snapshot.Status.Supervisor)
	for _, st := range snapshot.Status.Sites {
		s.site(st)
		s.tasks(st)
		s.memory(st, snapshot.Sites[st.Name])
		if more, found := snapshot.Sites[st.Name]; found { // else it was removed, and only its tasks still run
			s.counted(st.Name, more)
		}
	}
}

// scrape sends the metrics of one scrape.
type scrape struct {
	*collector
	to chan<- prometheus.Metric
}

func (s scrape) value(f *family, v float64, labels ...string) {
	s.to <- prometheus.MustNewConstMetric(s.descs[f], f.kind, v, labels...)
}

func (s scrape) flag(f *family, on bool, labels ...string) {
	v := 0.0
	if on {
		v = 1
	}
	s.value(f, v, labels...)
}

func (s scrape) histogram(f *family, c latency.Counts, label string) {
	desc, sum := s.descs[f], c.Sum.Seconds()
	classic := prometheus.MustNewConstHistogram(desc, c.Count, sum, c.Classic, label)
	native := prometheus.MustNewConstNativeHistogram(desc, c.Count, sum, c.Native, nil, c.Zero, latency.Schema, latency.Zero, time.Time{}, label)
	s.to <- both{native, classic}
}

// both is a histogram with native and classic buckets. A scrape gets the native ones only
// in the format that has them.
type both struct {
	prometheus.Metric // with native buckets
	classic           prometheus.Metric
}

// Write implements prometheus.Metric.
func (b both) Write(to *dto.Metric) error {
	var classic dto.Metric
	if err := b.classic.Write(&classic); err != nil {
		return err
	}
	if err := b.Metric.Write(to); err != nil {
		return err
	}
	to.Histogram.Bucket = classic.Histogram.Bucket
	return nil
}

func (s scrape) supervisor(st status.Supervisor) {
	s.value(buildInfo, 1, st.Version)
	s.value(startTime, float64(st.Started.UnixMilli())/1000)
	s.processMemory("", "supervisor", st.Memory)
	s.processMemory("", "others", st.Others)
	s.value(connections, float64(st.Connections.Open))
	s.value(connectionsLimit, float64(st.Connections.Most))
	s.value(connectionsRefused, float64(st.Connections.Refused), "max_connections")
	s.value(connectionsRefused, float64(st.Connections.RefusedPerIP), "max_connections_per_ip")
	for code, n := range st.Refused {
		s.value(refusedRequests, float64(n), strconv.Itoa(code))
	}
	s.flag(reloadFailed, st.Failed != nil)
}

var (
	siteStates   = []string{"starting", "running", "degraded", "sleeping", "stopped", "failed"}
	workerStates = []string{"starting", "ready", "busy", "draining", "stuck", "exited"}
	classes      = []string{"1xx", "2xx", "3xx", "4xx", "5xx"}
)

func (s scrape) site(st status.Site) {
	for _, state := range siteStates {
		s.flag(siteState, st.State == state, st.Name, state)
	}
	count := map[string]int{}
	for _, w := range st.Workers {
		count[w.State]++
	}
	for _, state := range workerStates {
		s.value(workers, float64(count[state]), st.Name, state)
	}
	s.flag(siteMaintenance, st.Maintenance != nil, st.Name)
	s.flag(sitePaused, st.Paused != nil, st.Name)
	s.value(workersDesired, float64(st.Processes.Desired), st.Name)
	s.value(siteGeneration, float64(st.Generation), st.Name)
	s.value(requestsActive, float64(st.Requests.Active), st.Name)
	s.value(requestsQueued, float64(st.Requests.Queued), st.Name)
	s.value(tunnelsOpen, float64(st.Tunnels.Open), st.Name)
	s.value(tunnelsRefused, float64(st.Tunnels.Refused), st.Name)
	s.value(memorySaved, float64(st.Memory.Saved), st.Name)
	s.flag(siteReloadFailed, st.Failed != nil, st.Name)
	for _, c := range st.Certificates {
		s.certificate(st.Name, c)
	}
}

// certificate names a certificate by the first of its names, which no other one has.
func (s scrape) certificate(site string, c status.Certificate) {
	if len(c.Names) == 0 {
		return
	}
	if c.Until != nil {
		s.value(certificateExpiry, float64(c.Until.Unix()), site, c.Names[0])
	}
	s.flag(certificateFailed, c.Failed != nil, site, c.Names[0])
}

func (s scrape) tasks(st status.Site) {
	for _, v := range st.Services {
		s.flag(serviceUp, v.State == "running", st.Name, v.Name)
		s.value(serviceRestarts, float64(v.Restarts), st.Name, v.Name)
	}
	for _, c := range st.Cron {
		s.value(cronRuns, float64(c.Runs), st.Name, c.Name)
		s.value(cronSkipped, float64(c.Skipped), st.Name, c.Name)
	}
}

func (s scrape) counted(name string, more Site) {
	s.flag(zygoteUp, more.Zygote != nil, name)
	for i, class := range classes {
		s.value(requests, float64(more.Measured.Classes[i]), name, class)
	}
	s.histogram(requestSeconds, more.Measured.Took, name)
	s.histogram(queueSeconds, more.Measured.Queued, name)
	for reason, n := range more.Exits {
		s.value(workerExits, float64(n), name, reason)
	}
}
