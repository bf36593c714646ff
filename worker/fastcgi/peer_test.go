package fastcgi

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// startPeer serves h with net/http/fcgi, an implementation that is independent of ours.
func startPeer(t *testing.T, h http.HandlerFunc, o Options) *Client {
	t.Helper()
	o.Socket = filepath.Join(t.TempDir(), "w.sock")
	l, err := net.Listen("unix", o.Socket)
	if err != nil {
		t.Fatal(err)
	}
	c := NewClient(o)
	var server sync.WaitGroup
	server.Go(func() { _ = fcgi.Serve(l, h) }) // ends with the listener
	t.Cleanup(func() {
		c.Close()
		l.Close()
		server.Wait()
	})
	return c
}

func TestPeer_UnderstandsRequests(t *testing.T) {
	t.Parallel()
	c := startPeer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.URL.RequestURI(), r.URL.Query().Get("q"))
		fmt.Fprintf(w, " %s %s %d", r.RemoteAddr, r.Header.Get("X-Name"), r.ContentLength)
		fmt.Fprintf(w, " %s ", fcgi.ProcessEnv(r)["SITE"])
		_, _ = io.Copy(w, r.Body)
	}, Options{ScriptName: "/sub", Params: map[string]string{"SITE": "blog"}})
	r := newRequest(t, "PUT", "/sub/a%2Fb?q=x+y", "the body")
	r.Header.Set("X-Name", "Andr\xe9")
	resp, body, err := fetch(c, r)
	if err != nil {
		t.Fatal(err)
	}
	want := "PUT example.com /sub/a%2Fb?q=x+y x y 192.0.2.1:1234 Andr\xe9 8 blog the body"
	if body != want {
		t.Errorf("got  %q\nwant %q", body, want)
	}
	if resp.StatusCode != http.StatusTeapot || len(resp.Header["Set-Cookie"]) != 2 {
		t.Errorf("got status %d, cookies %q", resp.StatusCode, resp.Header["Set-Cookie"])
	}
}

func TestPeer_AnswersProbe(t *testing.T) {
	t.Parallel()
	c := startPeer(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") }, Options{Threads: 20})
	for range 20 {
		if err := c.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, body, err := fetch(c, newRequest(t, "GET", "/", "")); err != nil || body != "hello" {
			t.Fatalf("got %q (%v), want an answer from the probed connection", body, err)
		}
	}
}

func TestPeer_BigBodies(t *testing.T) {
	t.Parallel()
	want := randomText(big)
	tests := map[string]http.HandlerFunc{
		"echo": func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) },
		"answer first": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, want)
			_, _ = io.Copy(io.Discard, r.Body)
		},
		"never read": func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, want) },
	}
	for name, h := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startPeer(t, h, Options{})
			for range 2 {
				if _, body, err := fetch(c, newRequest(t, "POST", "/", want)); err != nil || body != want {
					t.Fatalf("got %d bytes (%v), want %d", len(body), err, len(want))
				}
			}
			if n := idle(c); n != 1 {
				t.Errorf("got %d idle connections, want 1", n)
			}
		})
	}
}

// TestPeer_ManyRequests mixes sizes and abandoned answers: each request gets its own answer.
func TestPeer_ManyRequests(t *testing.T) {
	t.Parallel()
	c := startPeer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s:%s", r.URL.Path, body)
	}, Options{Threads: 100})
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			for j := range 5 {
				uri := fmt.Sprintf("/%d/%d", i, j)
				in := strings.Repeat("x", (i*j*997)%200000)
				if (i+j)%7 == 0 {
					abandon(t, c, newRequest(t, "POST", uri, in))
					continue
				}
				_, body, err := fetch(c, newRequest(t, "POST", uri, in))
				if err != nil || body != uri+":"+in {
					t.Errorf("%s: got %.30q (%v), want its own answer", uri, body, err)
				}
			}
		})
	}
	all.Wait()
}

func abandon(t *testing.T, c *Client, r *http.Request) {
	resp, err := c.RoundTrip(r)
	if err == nil {
		err = resp.Body.Close()
	}
	if err != nil {
		t.Errorf("abandon %s: %v", r.RequestURI, err)
	}
}
