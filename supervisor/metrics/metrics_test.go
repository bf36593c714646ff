package metrics

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/multisite/multisite/supervisor/latency"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/status"
)

// example has something for each family.
func example() Snapshot {
	var took latency.Histogram
	took.Add(30 * time.Millisecond)
	took.Add(2 * time.Second)
	until := time.Unix(2e9, 0)
	st := status.Site{
		Name: "shop", State: "running", Processes: status.Processes{Desired: 2, Ready: 2},
		Workers: []status.Worker{
			{ID: "shop/1", State: "busy", CPU: 3, Memory: status.Memory{PSS: 10, USS: 8, RSS: 20}},
			{ID: "shop/1", State: "draining", CPU: 2, Memory: status.Memory{PSS: 1, USS: 1, RSS: 1}},
		},
		Memory:       status.SiteMemory{Memory: status.Memory{PSS: 20, USS: 15, RSS: 45}, Saved: 7},
		Services:     []status.Service{{Name: "queue", State: "running", Restarts: 1, Memory: status.Memory{PSS: 4}, Old: &status.OldService{Memory: status.Memory{PSS: 2}}}},
		Cron:         []status.Cron{{Name: "night", Runs: 3, Skipped: 1, Memory: status.Memory{PSS: 3}}},
		Certificates: []status.Certificate{{Names: []string{"shop.example.com"}, Until: &until}, {Names: []string{"new.example.com"}, Failed: &status.Failure{}}},
	}
	return Snapshot{
		Status: status.Status{Supervisor: status.Supervisor{Version: "1", Memory: status.Memory{PSS: 5}, Others: status.Memory{PSS: 6}, Refused: map[int]int64{421: 3}}, Sites: []status.Site{st}},
		Sites: map[string]Site{"shop": {
			Zygote: &status.Memory{PSS: 8, USS: 5, RSS: 22}, Exits: map[string]int64{"crash": 1},
			Measured: site.Measured{Classes: [5]int64{0, 1, 0, 0, 1}, Took: took.Counts(), Queued: took.Counts()},
		}},
	}
}

func gather(t *testing.T, s Snapshot) []*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newCollector(func() Snapshot { return s }))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func TestMetrics_AreNamedByTheRules(t *testing.T) {
	t.Parallel()
	got := gather(t, example())
	if len(got) != len(families) {
		t.Errorf("got %d families, want %d", len(got), len(families))
	}
	problems, err := promlint.NewWithMetricFamilies(got).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("got %v (%v)", problems, err)
	}
}

// TestMetrics_MemoryOnce: the sum over all processes is what status has as the total, also
// while two workers have the same name.
func TestMetrics_MemoryOnce(t *testing.T) {
	t.Parallel()
	s := example()
	var sum float64
	for _, f := range gather(t, s) {
		for _, m := range f.Metric {
			if f.GetName() == memoryBytes.name && m.Label[0].GetValue() == "pss" {
				sum += m.GetGauge().GetValue()
			}
		}
	}
	if want := float64(s.Status.Total().PSS); sum != want {
		t.Errorf("got %v, want %v", sum, want)
	}
}

// TestMetrics_Histograms have both kinds of bucket.
func TestMetrics_Histograms(t *testing.T) {
	t.Parallel()
	for _, f := range gather(t, example()) {
		if f.GetName() != requestSeconds.name {
			continue
		}
		h := f.Metric[0].Histogram
		if h.GetSampleCount() != 2 || h.GetSampleSum() != 2.03 || len(h.Bucket) != len(latency.Bounds) || h.GetSchema() != latency.Schema || len(h.PositiveSpan) == 0 {
			t.Errorf("got %v", h)
		}
		return
	}
	t.Error("no histogram")
}

// TestMetrics_Formats: Prometheus gets the format that it asks for.
func TestMetrics_Formats(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(Handler(example, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	for _, tt := range []struct{ accept, want, has string }{
		{"", "text/plain; version=0.0.4", `multisite_requests_total{class="5xx",site="shop"} 1`},
		{"application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0", "# EOF"},
		{"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "application/vnd.google.protobuf", "multisite_requests_total"},
	} {
		resp, body := ask(t, server.URL+"/metrics", "", tt.accept)
		if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || !strings.HasPrefix(got, tt.want) || !strings.Contains(body, tt.has) {
			t.Errorf("%s: got %s, %s, %.300s", tt.accept, resp.Status, got, body)
		}
	}
	if resp, body := ask(t, server.URL+"/metrics", "rebound.example.com", ""); resp.StatusCode != 421 || strings.Contains(body, "shop") {
		t.Errorf("a stranger's name: got %s %.100s", resp.Status, body)
	}
	if resp, _ := ask(t, server.URL+"/", "", ""); resp.StatusCode != 404 {
		t.Errorf("/: got %s", resp.Status)
	}
}

func ask(t *testing.T, url, host, accept string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if err := resp.Write(&b); err != nil {
		t.Fatal(err)
	}
	return resp, b.String()
}

// TestDocs_HaveEachMetric: the table of the page is what the program exports.
func TestDocs_HaveEachMetric(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, f := range families {
		labels := "none"
		if len(f.labels) > 0 {
			labels = "`" + strings.Join(f.labels, "`, `") + "`"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", f.name, f.typeName(), labels, f.help)
	}
	if !strings.Contains(string(page), want.String()) {
		t.Errorf("docs/metrics.md does not have this table:\n%s", want.String())
	}
}

// TestDocs_UseKnownMetrics: the alerts and the dashboard ask for what there is.
func TestDocs_UseKnownMetrics(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, f := range families {
		known[f.name] = true
	}
	for _, file := range []string{"alerts.yml", "grafana.json"} {
		text, err := os.ReadFile("../../docs/prometheus/" + file)
		if err != nil {
			t.Fatal(err)
		}
		used := regexp.MustCompile(`multisite_[a-z_]+`).FindAllString(string(text), -1)
		if len(used) == 0 {
			t.Errorf("%s uses no metric", file)
		}
		for _, name := range used {
			if !known[name] && !known[strings.TrimSuffix(name, "_bucket")] {
				t.Errorf("%s uses %s, which does not exist", file, name)
			}
		}
	}
}
