package main

import (
	"net/http"
	"strings"
	"testing"
)

// oneWorker is two sites with a single worker each.
const oneWorker = pythonSites + `
processes = 1
listen_backlog = 2
[site.exact]
server_name = "exact.example.com"
settings = "subdomain1_settings"
[site.short]
server_name = "short.example.com"
settings = "subdomain1_settings"
queue_timeout = "200ms"
`

func TestQueue_IsExact(t *testing.T) {
	t.Parallel()
	r := up(t, oneWorker)
	t.Run("one is served, two wait in order, the next is refused", func(t *testing.T) { queueInOrder(t, r.in(t)) })
	t.Run("a request that waits for queue_timeout is refused", func(t *testing.T) { queueTimeout(t, r.in(t)) })
}

func queueInOrder(t *testing.T, r *running) {
	const host = "exact.example.com"
	answered := make(chan string, 3)
	ask := func(path string) {
		go func() {
			a, err := r.newVisitor().do(newRequest(t, http.MethodGet, host, path, nil))
			if err != nil || a.status != 200 {
				t.Errorf("%s: status %d, %v", path, a.status, err)
			}
			answered <- path
		}()
	}
	want := []string{"/probe/sleep/?ms=1500", "/probe/sleep/?ms=300", "/probe/sleep/?ms=1"}
	for i, path := range want {
		ask(path)
		eventually(t, "the queue to hold it", func() bool {
			q := r.site("exact").Requests
			return q.Active == 1 && q.Queued == i
		})
	}
	a := r.get(host, "/hello/")
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("the fourth: status %d, Retry-After %q, want 503", a.status, a.header.Get("Retry-After"))
	}
	if q := r.site("exact").Requests; q.Active != 1 || q.Queued != 2 {
		t.Errorf("when the fourth is answered %d are served and %d wait, want 1 and 2", q.Active, q.Queued)
	}
	for _, path := range want {
		if got := <-answered; got != path {
			t.Errorf("answered %s, want %s first", got, path)
		}
	}
	if log := r.siteLog("exact"); !strings.Contains(log, "the queue is full (listen_backlog)") {
		t.Errorf("the log does not say which limit it was:\n%s", log)
	}
}

func queueTimeout(t *testing.T, r *running) {
	const host = "short.example.com"
	slow := make(chan answer, 1)
	go func() {
		a, err := r.newVisitor().do(newRequest(t, http.MethodGet, host, "/probe/sleep/?ms=1500", nil))
		if err != nil {
			t.Error(err)
		}
		slow <- a
	}()
	eventually(t, "the worker to be busy", func() bool { return r.site("short").Requests.Active == 1 })
	a := r.get(host, "/hello/")
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q, want 503", a.status, a.header.Get("Retry-After"))
	}
	select {
	case a := <-slow:
		t.Errorf("the other was answered first, with %d: this one waited for it", a.status)
	default:
		if a := <-slow; a.status != 200 {
			t.Errorf("the other: status %d", a.status)
		}
	}
	if log := r.siteLog("short"); !strings.Contains(log, "no worker became free in time (queue_timeout)") {
		t.Errorf("the log does not say which limit it was:\n%s", log)
	}
}
