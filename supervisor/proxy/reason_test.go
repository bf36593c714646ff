package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/worker/wire"
)

// TestAnswer_ReasonOfTheWorker reaches the client on every way through the front door.
func TestAnswer_ReasonOfTheWorker(t *testing.T) {
	t.Parallel()
	answers := map[string]*wire.Answer{
		"/own":    {Status: 404, Reason: "Not Here", Body: []byte("a")},
		"/empty":  {Status: 410, Body: []byte("a")},
		"/usual":  {Status: 200, Reason: "OK", Body: []byte("a")},
		"/large":  {Status: 503, Reason: "Come Back Later", Body: []byte(strings.Repeat("x", 2*fastloop.BufferSize))},
		"/header": {Status: 200, Reason: "Large", Fields: [][2]string{{"X-A", strings.Repeat("a", 9000)}}, Body: []byte("a")},
	}
	want := map[string]string{"/own": "404 Not Here", "/empty": "410 Gone", "/usual": "200 OK", "/large": "503 Come Back Later", "/header": "200 Large"}
	f := startFront(t, newCrew(t, 1, func(_ *crewWorker, uri string) *wire.Answer { return answers[uri] }), Options{})
	simple := "Host: site.test\r\n\r\n"
	for way, request := range map[string]string{
		"loop":      "GET %s HTTP/1.1\r\n" + simple,
		"net/http":  "POST %s HTTP/1.1\r\nTE: trailers\r\nContent-Length: 5\r\n" + simple + "hello",
		"continued": "POST %s HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n" + simple,
		"HTTP/1.0":  "GET %s HTTP/1.0\r\nConnection: keep-alive\r\n" + simple,
	} {
		t.Run(way, func(t *testing.T) {
			p := f.dial("")
			for uri := range answers {
				if way == "HTTP/1.0" { // whose connection may be the end of an answer
					p = f.dial("")
				}
				p.tb = t
				p.send(fmt.Sprintf(request, uri))
				if way == "continued" {
					if resp, _ := p.whole("GET"); resp.StatusCode != http.StatusContinue || resp.Status != "100 Continue" {
						t.Fatalf("got %q, want to be asked for the body", resp.Status)
					}
					p.send("hello")
				}
				if resp, _ := p.whole("GET"); resp.Status != want[uri] {
					t.Errorf("%s: got %q, want %q", uri, resp.Status, want[uri])
				}
			}
		})
	}
}

// TestAnswer_PathsAreNotForVisitors: the application means the server in front.
func TestAnswer_PathsAreNotForVisitors(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, func(_ *crewWorker, uri string) *wire.Answer {
		return &wire.Answer{Status: 200, Fields: [][2]string{{strings.TrimPrefix(uri, "/"), "/srv/private"}, {"X-Other", "a"}}, Body: []byte("a")}
	}), Options{})
	for range 2 {
		for _, name := range []string{"X-Accel-Redirect", "X-Sendfile"} {
			p := f.dial(get("/" + name))
			resp, body := p.whole("GET")
			if resp.Header.Get(name) != "" || resp.Header.Get("X-Other") != "a" || body != "a" {
				t.Errorf("got %v %q", resp.Header, body)
			}
		}
	}
	if got := f.logs.String(); strings.Count(got, "header dropped") != 1 || !strings.Contains(got, "header=X-Accel-Redirect path=/srv/private") {
		t.Errorf("logged %q, want the first path alone", got)
	}
}
