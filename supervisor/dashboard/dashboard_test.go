package dashboard

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

func TestHandler_ShowsTheStatus(t *testing.T) {
	t.Parallel()
	rec := visit(example, "GET", "localhost:8081", "/")
	if rec.Code != 200 || rec.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("got %d %v", rec.Code, rec.Header())
	}
	page := rec.Body.String()
	for _, want := range []string{
		`<meta http-equiv="refresh" content="5">`,
		"<title>shop failed · multisite</title>",
		"<h2><i></i>blog</h2>",
		`<th scope="row">blog/1<td data-name="state"><i></i>busy<td data-name="pid">4711<td data-name="PSS"><b>12.0 MB</b>`,
		"2 of 3 <small>× 1 thread</small>",
		"1,234,567 <small>12.5/s</small>",
		"3 <small>last: signal killed (9)\\u001b\\u202e</small>",
		"5.0 ms <small>1.2 s</small>",
		"<dd>68.0 MB</dd>", // 12 + 32 of the site's, 4 of its service, 20 of the supervisor's
		`<th scope="row">service.celery<td data-name="state"><i></i>running<td data-name="pid">4800<td data-name="PSS"><b>3.0 MB</b><td data-name="schedule, restarts">2 restarts<td data-name="last exit">exit status 1`,
		`<tr class="stopping"><th scope="row">service.celery<td data-name="state"><i></i>stopping<td data-name="pid">4799<td data-name="PSS"><b>1.0 MB</b>`,
		`<th scope="row">cron.tidy<td data-name="state"><i></i>waiting<td data-name="pid"><td data-name="PSS"><td data-name="schedule, restarts">@daily, next Jan 2 03:04<td data-name="last exit">exit status 0`,
		`<th scope="row">cron.mail<td data-name="state"><i></i>running<td data-name="pid">4801<td data-name="PSS"><td data-name="schedule, restarts">* * * * *, next Jan 2 03:04<td data-name="last exit"></tr>`,
		"ModuleNotFoundError: No module named &#39;&lt;b&gt;shop\\u202e&#39;",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "ZgotmplZ") || strings.Contains(page, " style=") {
		t.Errorf("the page has what its policy forbids:\n%s", page)
	}
}

// TestHandler_PolicyAllowsOnlyTheStyle: a browser applies a style sheet only when its hash is in the policy.
func TestHandler_PolicyAllowsOnlyTheStyle(t *testing.T) {
	t.Parallel()
	rec := visit(example, "GET", "127.0.0.1", "/")
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(rec.Body.String())
	if style == nil {
		t.Fatal("the page has no style")
	}
	sum := sha256.Sum256([]byte(style[1]))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	if got := rec.Header().Get("Content-Security-Policy"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHandler_AnswersLoopbackNamesOnly(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		host string
		want int
	}{
		{"localhost", 200}, {"LocalHost:8081", 200}, {"localhost.", 200}, {"status.localhost:1", 200},
		{"127.0.0.1:8081", 200}, {"127.9.9.9", 200}, {"[::1]:8081", 200}, {"[::1]", 200},
		{"evil.example.com", 421}, {"localhost.example.com:80", 421}, {"notlocalhost", 421},
		{"10.0.0.1", 421}, {"0.0.0.0:8081", 421}, {"", 421}, {"127.0.0.1.nip.io", 421}, {"[::ffff:10.0.0.1]", 421},
	} {
		t.Run(test.host, func(t *testing.T) {
			t.Parallel()
			rec := visit(example, "GET", test.host, "/")
			if rec.Code != test.want {
				t.Errorf("got %d, want %d", rec.Code, test.want)
			}
			if rec.Code != 200 && strings.Contains(rec.Body.String(), "blog") {
				t.Error("a stranger sees a site")
			}
		})
	}
}

func TestHandler_OnlyShows(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{"HEAD", "/", 200}, {"POST", "/", 405}, {"DELETE", "/", 405}, {"GET", "/etc/passwd", 404}, {"GET", "/favicon.ico", 404},
	} {
		if got := visit(example, test.method, "localhost", test.path).Code; got != test.want {
			t.Errorf("%s %s: got %d, want %d", test.method, test.path, got, test.want)
		}
	}
}

func TestHandler_NoSites(t *testing.T) {
	t.Parallel()
	rec := visit(func(context.Context) status.Status { return status.Status{} }, "GET", "localhost", "/")
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), "There are no sites.") || !strings.Contains(rec.Body.String(), "all well") {
		t.Errorf("got %d %q", rec.Code, rec.Body)
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, test := range []struct{ got, want string }{
		{size(0), "0 kB"}, {size(900 << 10), "900 kB"}, {size(1 << 20), "1.0 MB"}, {size(123 << 20), "123 MB"}, {size(1000 << 20), "1.0 GB"},
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(-123456), "-123,456"}, {count(1234567), "1,234,567"},
		{age(now, time.Time{}), ""}, {age(now, now.Add(time.Minute)), "0s"}, {age(now, now.Add(-61*time.Second)), "1m 1s"},
		{age(now, now.Add(-25*time.Hour)), "1d 1h"}, {age(now, now.Add(-150*time.Minute)), "2h 30m"},
		{latency(0), "–"}, {latency(0.0015), "1.5 ms"}, {latency(0.042), "42 ms"}, {latency(2), "2.0 s"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}

const testToken = "TOKEN"

func visit(source func(context.Context) status.Status, method, host, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host = host
	rec := httptest.NewRecorder()
	r.AddCookie(&http.Cookie{Name: cookieName, Value: testToken})
	Handler(testToken, source).ServeHTTP(rec, r)
	return rec
}

func example(context.Context) status.Status {
	const mb = 1 << 20
	started := time.Now().Add(-26 * time.Hour)
	next := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	return status.Status{Supervisor: status.Supervisor{Version: "v1.0.0", PID: 4700, Started: started, Memory: status.Memory{PSS: 20 * mb, USS: 18 * mb, RSS: 26 * mb}}, Sites: []status.Site{
		{
			Name: "blog", State: "running", Kind: "wsgi", ServerName: "blog.example.com", Settings: "project.blog_settings",
			Generation: 2, Processes: status.Processes{Ready: 2, Desired: 3}, Threads: 1, Restarts: 3, LastExit: "signal killed (9)\x1b\u202e",
			Memory:   status.SiteMemory{Memory: status.Memory{PSS: 44 * mb, USS: 12 * mb, RSS: 160 * mb}, ZygotePSS: 9 * mb},
			Requests: status.Requests{Total: 1234567, Errors: 2, Active: 1, Queued: 4, PerSecond: 12.5, P50: 0.005, P99: 1.2},
			Workers: []status.Worker{
				{ID: "blog/1", PID: 4711, State: "busy", Started: started, Requests: 600_000, Active: 1, Memory: status.Memory{PSS: 12 * mb, USS: 4 * mb, RSS: 53 * mb}},
				{ID: "blog/2", PID: 4712, State: "ready", Started: started, Requests: 634_567, Memory: status.Memory{PSS: 12 * mb, USS: 4 * mb, RSS: 53 * mb}},
				{ID: "blog/3", PID: 4790, State: "starting", Started: time.Now()},
			},
			Services: []status.Service{{Name: "celery", State: "running", PID: 4800, Restarts: 2, Memory: status.Memory{PSS: 3 * mb}, LastExit: "exit status 1", Old: &status.OldService{PID: 4799, Memory: status.Memory{PSS: mb}}}},
			Cron: []status.Cron{
				{Name: "tidy", Schedule: "@daily", Next: next, LastExit: "exit status 0"},
				{Name: "mail", Schedule: "* * * * *", Next: next, PID: 4801},
			},
		},
		{
			Name: "shop", State: "failed", Kind: "wsgi", ServerName: "shop.example.com", Settings: "project.shop_settings", Processes: status.Processes{Desired: 5}, Threads: 2,
			LastError: "Traceback (most recent call last):\n  File \"wsgi.py\", line 4, in <module>\nModuleNotFoundError: No module named '<b>shop\u202e'",
		},
	}}
}
