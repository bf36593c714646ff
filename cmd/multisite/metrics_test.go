package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// scrape returns what a running supervisor exports, as text.
func (r *running) scrape() string {
	r.t.Helper()
	address := r.status().Supervisor.Metrics
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := (&http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if err := resp.Write(&b); err != nil || resp.StatusCode != 200 {
		r.t.Fatalf("got %s (%v): %s", resp.Status, err, b.String())
	}
	return b.String()
}

// sample returns the value of the only line that begins with name; -1 if there is none.
func sample(text, name string) float64 {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			v, _ := strconv.ParseFloat(strings.TrimSpace(value), 64) // what is no number is 0
			return v
		}
	}
	return -1
}

// TestMetrics_MemoryIsTheTruth: the sum over all processes is that of the kernel.
func TestMetrics_MemoryIsTheTruth(t *testing.T) {
	t.Parallel()
	r := up(t, "metrics = \"127.0.0.1:0\"\n"+pythonSites+"processes = 2\n"+subdomain1+"[site.subdomain1.service.waits]\ncommand = [\"sleep\", \"1000\"]\n")
	kinds := map[string]string{"pss": "Pss:", "uss": "Private_", "rss": "Rss:"}
	var wrong string
	eventually(t, "the sums are those of the kernel", func() bool { // while the processes come to rest
		before, text, after := rollups(r, kinds), r.scrape(), rollups(r, kinds)
		wrong = ""
		for kind := range kinds {
			var sum float64
			for _, m := range regexp.MustCompile(`(?m)^multisite_process_memory_bytes\{kind="`+kind+`",.*\} (\S+)$`).FindAllStringSubmatch(text, -1) {
				v, err := strconv.ParseFloat(m[1], 64)
				if err != nil {
					t.Fatal(err)
				}
				sum += v
			}
			if sum < 0.98*min(before[kind], after[kind]) || sum > 1.02*max(before[kind], after[kind]) {
				wrong += fmt.Sprintf(" %s: %.0f, the kernel has %.0f to %.0f;", kind, sum, before[kind], after[kind])
			}
		}
		return wrong == ""
	})
	if wrong != "" {
		t.Error(wrong)
	}
}

// rollups returns sums of smaps_rollup over the supervisor and all that descends from it.
func rollups(r *running, kinds map[string]string) map[string]float64 {
	sums := map[string]float64{}
	for _, pid := range familyOf(r.t, r.status().Supervisor.PID) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil { // it has just ended
			continue
		}
		for kind, field := range kinds {
			for _, m := range regexp.MustCompile(`(?m)^`+field+`\S*\s+(\d+) kB`).FindAllStringSubmatch(string(text), -1) {
				kB, _ := strconv.ParseFloat(m[1], 64) // it has digits alone
				sums[kind] += kB * 1024
			}
		}
	}
	return sums
}

// familyOf returns a process and all that descends from it.
func familyOf(t testing.TB, pid int) []int {
	t.Helper()
	pids := []int{pid}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, _ := os.ReadFile(file) // a thread that has just ended has no children
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, familyOf(t, child)...)
			}
		}
	}
	return pids
}

// TestMetrics_ReloadAndUpgrade: a reload moves the listener, and an address that is in use
// changes nothing. An upgrade keeps the address and the counters.
func TestMetrics_ReloadAndUpgrade(t *testing.T) {
	t.Parallel()
	r := up(t, notifiedSites)
	if got := r.status().Supervisor.Metrics; got != "" {
		t.Errorf("got %q, want no address", got)
	}
	write := func(metrics string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(r.dir, "sites.toml"), []byte(metrics+notifiedSites), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("metrics = \"127.0.0.1:0\"\n")
	if out := r.must("reload"); !strings.Contains(out, "metrics changed") {
		t.Errorf("got %q", out)
	}
	r.get("subdomain1.localhost", "/")
	const counted = `multisite_requests_total{class="2xx",site="subdomain1"}`
	const crashed = `multisite_worker_exits_total{reason="crash",site="subdomain1"}`
	for pid := range r.pids("subdomain1") {
		kill(t, pid)
	}
	eventually(t, "the end of the worker is counted", func() bool { return sample(r.scrape(), crashed) == 1 })
	before := r.scrape()
	if sample(before, counted) < 1 {
		t.Errorf("%s is not 1 or more in\n%s", counted, before)
	}
	address := r.status().Supervisor.Metrics

	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	write(fmt.Sprintf("metrics = %q\n", busy.Addr()))
	if got := r.multisite("reload"); got.code == 0 || !strings.Contains(got.stderr, "address already in use") {
		t.Errorf("an address in use: exit %d: %s", got.code, got.stderr)
	}
	if got := r.status().Supervisor.Metrics; got != address {
		t.Errorf("after a reload that failed it listens on %q, want %q", got, address)
	}

	write("metrics = \"127.0.0.1:0\"\n")
	r.upgrade()
	after := r.scrape()
	if got := r.status().Supervisor.Metrics; got != address {
		t.Errorf("after an upgrade it listens on %q, want %q", got, address)
	}
	for _, name := range []string{counted, crashed, `multisite_request_duration_seconds_count{site="subdomain1"}`, `multisite_request_duration_seconds_sum{site="subdomain1"}`} {
		if was, is := sample(before, name), sample(after, name); is < was || is <= 0 {
			t.Errorf("after an upgrade %s is %v, before it was %v", name, is, was)
		}
	}

	write("")
	r.must("reload")
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("without the key it still listens")
	}
}

// TestMetrics_PromtoolAcceptsTheRules: the alert rules of docs are rules.
func TestMetrics_PromtoolAcceptsTheRules(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("no promtool: install prometheus")
	}
	if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", "../../docs/prometheus/alerts.yml").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	text, err := os.ReadFile("../../docs/prometheus/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(text) {
		t.Error("grafana.json is not JSON")
	}
}

// TestMetrics_RealPrometheus: Prometheus scrapes a supervisor, and its answers are those
// of status.
func TestMetrics_RealPrometheus(t *testing.T) {
	t.Parallel()
	if !longForm() {
		t.Skip("runs a server of Prometheus: MULTISITE_LONG=1 has it")
	}
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("no prometheus: install it")
	}
	r := up(t, "metrics = \"127.0.0.1:0\"\n"+notifiedSites)
	r.get("subdomain1.localhost", "/")
	dir := t.TempDir()
	config := fmt.Sprintf("global: { scrape_interval: 1s }\nscrape_configs:\n- job_name: multisite\n  static_configs:\n  - targets: [%q]\n", r.status().Supervisor.Metrics)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	cmd := exec.CommandContext(t.Context(), prometheus, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--enable-feature=native-histograms")
	out := &screen{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // by that signal
	}()
	for _, query := range []string{
		`up{job="multisite"} == 1`,
		`multisite_requests_total{site="subdomain1",class="2xx"} >= 1`,
		`sum by (site) (multisite_process_memory_bytes{kind="pss",site="subdomain1"}) > 1e6`,
		`multisite_site_state{site="subdomain1",state="running"} == 1`,
		`histogram_count(multisite_request_duration_seconds{site="subdomain1"}) >= 1`, // a native one
	} {
		within(t, 2*patience, query, func() bool { return asks(t, address, query) })
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// asks reports whether a query to Prometheus has a result.
func asks(t *testing.T, address, query string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil { // it is not ready yet
		return false
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []json.RawMessage `json:"result"`
		} `json:"data"`
	}
	return json.NewDecoder(resp.Body).Decode(&answer) == nil && len(answer.Data.Result) > 0
}
