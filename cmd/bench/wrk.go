package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// speed is what a load generator measured.
type speed struct {
	perSecond float64
	p50, p99  float64 // ms
	requests  int
	bad       int
	why       string
}

// wrkReport makes wrk print numbers instead of words.
const wrkReport = `function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\nREPORT {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "bad": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`

// drive requests one page over keep-alive connections for a time, with wrk if it is
// installed, since it uses less of the machine, or else with the loader here.
func (b *bench) drive(ctx context.Context, addr, host string, p page, connections int, d time.Duration) (speed, error) {
	if wrk, err := lookPath("wrk"); err == nil {
		return b.wrk(ctx, wrk, addr, host, p, connections, d)
	}
	return driveHere(ctx, addr, host, p, connections, d)
}

func (b *bench) wrk(ctx context.Context, wrk, addr, host string, p page, connections int, d time.Duration) (speed, error) {
	script := filepath.Join(b.tmp, "report.lua")
	if err := os.WriteFile(script, []byte(wrkReport), 0o644); err != nil {
		return speed{}, err
	}
	out, err := exec.CommandContext(ctx, wrk, "-t1", fmt.Sprintf("-c%d", connections), fmt.Sprintf("-d%ds", int(d.Seconds())),
		"--timeout", "30s", "-s", script, "-H", "Host: "+host, "http://"+addr+p.path).CombinedOutput()
	if err != nil {
		return speed{}, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	return parseWrk(out)
}

func parseWrk(out []byte) (speed, error) {
	var got struct {
		Requests, Bad          int
		Microseconds, P50, P99 float64
	}
	_, report, _ := bytes.Cut(out, []byte("\nREPORT "))
	if err := json.Unmarshal(report, &got); err != nil || got.Microseconds == 0 {
		return speed{}, fmt.Errorf("wrk printed no report: %s", out)
	}
	s := speed{
		perSecond: float64(got.Requests) / got.Microseconds * 1e6, requests: got.Requests, bad: got.Bad,
		p50: got.P50 / 1000, p99: got.P99 / 1000,
	}
	if s.bad > 0 {
		s.why = string(out)
	}
	return s, nil
}

func driveHere(ctx context.Context, addr, host string, p page, connections int, d time.Duration) (speed, error) {
	limited, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	start := time.Now()
	got := load{addr: addr, host: host, pages: []page{p}, connections: connections}.run(limited)
	took := time.Since(start)
	ms := milliseconds(got.times)
	return speed{
		perSecond: float64(got.good) / took.Seconds(), requests: got.good + got.bad, bad: got.bad, why: got.why,
		p50: quantile(ms, 0.5), p99: quantile(ms, 0.99),
	}, ctx.Err()
}
