package metrics

import "github.com/prometheus/client_golang/prometheus"

// family is a metric with a name.
type family struct {
	name   string
	kind   prometheus.ValueType // of one that is no histogram
	labels []string
	help   string
}

const histogramKind prometheus.ValueType = 0 // what prometheus calls no kind of plain value

// The families, in the order of docs/metrics.md.
var (
	buildInfo = &family{"multisite_build_info", prometheus.GaugeValue, []string{"version"}, "Always 1; says which version runs."}
	startTime = &family{"multisite_start_time_seconds", prometheus.GaugeValue, nil, "When the supervisor was started; an upgrade does not change it."}

	memoryBytes = &family{"multisite_process_memory_bytes", prometheus.GaugeValue, []string{"site", "process", "kind"}, "Memory of each process, once; a sum over kind=\"pss\" is the memory of all."}
	memorySaved = &family{"multisite_memory_saved_bytes", prometheus.GaugeValue, []string{"site"}, "How much more the workers would hold without a zygote."}
	cpuSeconds  = &family{"multisite_worker_cpu_seconds_total", prometheus.CounterValue, []string{"site", "process"}, "Processor time of each worker."}

	siteState       = &family{"multisite_site_state", prometheus.GaugeValue, []string{"site", "state"}, "1 for the state that the site is in, 0 for the others."}
	siteMaintenance = &family{"multisite_site_maintenance", prometheus.GaugeValue, []string{"site"}, "1 while the site is closed for maintenance."}
	sitePaused      = &family{"multisite_site_paused", prometheus.GaugeValue, []string{"site"}, "1 while requests of the site wait for the end of a pause."}
	siteGeneration  = &family{"multisite_site_generation", prometheus.GaugeValue, []string{"site"}, "How often the workers have been replaced as a whole, and 1."}
	zygoteUp        = &family{"multisite_zygote_up", prometheus.GaugeValue, []string{"site"}, "1 if the site has a zygote from which workers are forked."}

	workers        = &family{"multisite_workers", prometheus.GaugeValue, []string{"site", "state"}, "Workers by state."}
	workersDesired = &family{"multisite_workers_desired", prometheus.GaugeValue, []string{"site"}, "How many workers there should be now."}
	workerExits    = &family{"multisite_worker_exits_total", prometheus.CounterValue, []string{"site", "reason"}, "Workers that have ended, by reason."}

	requests       = &family{"multisite_requests_total", prometheus.CounterValue, []string{"site", "class"}, "Answered requests, by the class of the status."}
	requestsActive = &family{"multisite_requests_active", prometheus.GaugeValue, []string{"site"}, "Requests that workers run."}
	requestsQueued = &family{"multisite_requests_queued", prometheus.GaugeValue, []string{"site"}, "Requests that wait for a worker."}
	requestSeconds = &family{"multisite_request_duration_seconds", histogramKind, []string{"site"}, "How long requests took, from their head to the last byte that the client took."}
	queueSeconds   = &family{"multisite_request_queue_seconds", histogramKind, []string{"site"}, "How long requests waited that got a worker."}

	tunnelsOpen    = &family{"multisite_tunnels_open", prometheus.GaugeValue, []string{"site"}, "Upgraded connections, such as WebSockets."}
	tunnelsRefused = &family{"multisite_tunnels_refused_total", prometheus.CounterValue, []string{"site"}, "Upgraded connections refused for max_tunnels."}

	connections        = &family{"multisite_connections_open", prometheus.GaugeValue, nil, "Connections of clients to the front door."}
	connectionsLimit   = &family{"multisite_connections_limit", prometheus.GaugeValue, nil, "max_connections."}
	connectionsRefused = &family{"multisite_connections_refused_total", prometheus.CounterValue, []string{"limit"}, "Connections refused, by the key whose limit was reached."}
	refusedRequests    = &family{"multisite_refused_requests_total", prometheus.CounterValue, []string{"status"}, "Requests that the front door answered itself since no site could."}

	certificateExpiry = &family{"multisite_certificate_expiry_time_seconds", prometheus.GaugeValue, []string{"site", "name"}, "When the certificate of the name ends; absent while there is none."}
	certificateFailed = &family{"multisite_certificate_failed", prometheus.GaugeValue, []string{"site", "name"}, "1 if the last try to get a certificate failed."}

	reloadFailed     = &family{"multisite_reload_failed", prometheus.GaugeValue, nil, "1 if the last reload failed."}
	siteReloadFailed = &family{"multisite_site_reload_failed", prometheus.GaugeValue, []string{"site"}, "1 if the last reload or restart of the site failed."}

	serviceUp       = &family{"multisite_service_up", prometheus.GaugeValue, []string{"site", "service"}, "1 while the service runs."}
	serviceRestarts = &family{"multisite_service_restarts_total", prometheus.CounterValue, []string{"site", "service"}, "How often the service was started again."}
	cronRuns        = &family{"multisite_cron_runs_total", prometheus.CounterValue, []string{"site", "entry"}, "Runs of the cron entry."}
	cronSkipped     = &family{"multisite_cron_skipped_total", prometheus.CounterValue, []string{"site", "entry"}, "Runs that were left out since the one before still ran."}
)

var families = []*family{
	buildInfo, startTime, memoryBytes, memorySaved, cpuSeconds,
	siteState, siteMaintenance, sitePaused, siteGeneration, zygoteUp, workers, workersDesired, workerExits,
	requests, requestsActive, requestsQueued, requestSeconds, queueSeconds, tunnelsOpen, tunnelsRefused,
	connections, connectionsLimit, connectionsRefused, refusedRequests, certificateExpiry, certificateFailed,
	reloadFailed, siteReloadFailed, serviceUp, serviceRestarts, cronRuns, cronSkipped,
}

// typeName returns the type as Prometheus writes it.
func (f *family) typeName() string {
	switch f.kind {
	case prometheus.CounterValue:
		return "counter"
	case prometheus.GaugeValue:
		return "gauge"
	}
	return "histogram"
}
