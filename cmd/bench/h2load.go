package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// shortestLoad is how long h2load runs at least: it has no answers until it has connected.
const shortestLoad = time.Second

// h2load drives with the client of that name, over HTTP/1.1 or HTTP/2.
func h2load(ctx context.Context, addr, host string, x row, d time.Duration) (speed, error) {
	dir, err := os.MkdirTemp("", "bench-h2load-")
	if err != nil {
		return speed{}, err
	}
	defer os.RemoveAll(dir)
	log := filepath.Join(dir, "log")
	args := []string{
		"--threads=1", fmt.Sprintf("--clients=%d", x.connections), fmt.Sprintf("--duration=%dms", max(d, shortestLoad).Milliseconds()),
		"--connect-to=" + addr, "--log-file=" + log,
	}
	if x.request.over == http1TLS {
		args = append(args, "--h1")
	} else {
		args = append(args, fmt.Sprintf("--max-concurrent-streams=%d", streams))
	}
	out, err := exec.CommandContext(ctx, "h2load", append(args, "https://"+host+x.request.path)...).CombinedOutput()
	if err != nil {
		return speed{}, fmt.Errorf("h2load: %w\n%s", err, out)
	}
	requests, err := os.ReadFile(log)
	if err != nil {
		return speed{}, err
	}
	return parseH2load(string(out), string(requests))
}

var h2loadRate = regexp.MustCompile(`(?m)^finished in [^,]+, ([0-9.]+) req/s`)

// parseH2load takes the rate from what h2load prints, and the rest from its log: when a
// request began, its status, and its microseconds.
func parseH2load(out, log string) (speed, error) {
	rate := h2loadRate.FindStringSubmatch(out)
	if rate == nil {
		return speed{}, fmt.Errorf("h2load prints no rate:\n%s", out)
	}
	var s speed
	var ms []float64
	for line := range strings.Lines(log) {
		f := strings.Fields(line)
		if len(f) != 3 {
			return speed{}, fmt.Errorf("h2load has logged %q", line)
		}
		took, err := strconv.ParseFloat(f[2], 64)
		if err != nil {
			return speed{}, err
		}
		s.requests++
		if f[1] != "200" {
			s.bad++
			s.why = "status " + f[1]
			continue
		}
		ms = append(ms, took/1000)
	}
	if len(ms) == 0 {
		return speed{}, fmt.Errorf("h2load got no right answer:\n%s", out)
	}
	s.perSecond, _ = strconv.ParseFloat(rate[1], 64) // the expression has only numbers
	s.p50, s.p99 = quantile(ms, 0.5), quantile(ms, 0.99)
	return s, nil
}
