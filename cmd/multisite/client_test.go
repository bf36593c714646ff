package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestClient: clients that are slow, send much or forge headers. The only worker must be
// free for others meanwhile.
func TestClient(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+"processes = 1\nmax_body = \"20MB\"\n"+subdomain1)
	r.parts(t, []part{
		{"a slow upload holds no worker", slowUpload},
		{"an answer nobody reads holds no worker", unreadAnswer},
		{"a large body arrives whole", largeBody},
		{"a larger one than max_body is refused", tooLargeBody},
		{"pieces are sent as they are yielded", flushed},
		{"a client that disconnects harms nobody", disconnects},
		{"what only a proxy may say is dropped", forged},
	})
}

func slowUpload(t *testing.T, r *running) {
	conn := r.raw()
	fmt.Fprintf(conn, "POST /probe/echo/ HTTP/1.1\r\nHost: %s\r\nContent-Length: 8\r\n\r\nhalf", host1)
	r.wantHello()
	io.WriteString(conn, "more")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	wantEcho(t, resp.Body, []byte("halfmore"))
}

func unreadAnswer(t *testing.T, r *running) {
	conn := r.raw()
	fmt.Fprintf(conn, "GET /probe/big/?mb=16 HTTP/1.1\r\nHost: %s\r\n\r\n", host1)
	in := bufio.NewReaderSize(conn, 16)
	if _, err := in.Peek(1); err != nil { // the answer has begun
		t.Fatal(err)
	}
	r.wantHello()
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); n != 16<<20 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// wantHello gets a page, for which the site's only worker must be free.
func (r *running) wantHello() {
	r.t.Helper()
	start := time.Now()
	if a := r.get(host1, "/hello/"); a.status != 200 || a.body != "Hello from Subdomain One (SITE_ID 1)\n" {
		r.t.Errorf("status %d after %v:\n%s", a.status, time.Since(start), a.body)
	}
}

func largeBody(t *testing.T, r *running) {
	body := bytes.Repeat([]byte("0123456789abcde\n"), 1<<20)
	for name, reader := range map[string]io.Reader{
		"known length": bytes.NewReader(body),
		"chunked":      struct{ io.Reader }{bytes.NewReader(body)},
	} {
		a, err := r.newVisitor().do(newRequest(t, http.MethodPost, host1, "/probe/echo/", reader))
		if err != nil || a.status != 200 {
			t.Errorf("%s: status %d, %v", name, a.status, err)
			continue
		}
		wantEcho(t, strings.NewReader(a.body), body)
	}
}

// wantEcho checks that the application got exactly this body.
func wantEcho(t *testing.T, r io.Reader, body []byte) {
	t.Helper()
	var got struct {
		Length int
		SHA256 string
	}
	if err := json.NewDecoder(r).Decode(&got); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	if got.Length != len(body) || got.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("the application got %d bytes with SHA-256 %s, want %d and %x", got.Length, got.SHA256, len(body), sum)
	}
}

func tooLargeBody(t *testing.T, r *running) {
	req := newRequest(t, http.MethodPost, host1, "/probe/echo/", bytes.NewReader(make([]byte, 21<<20)))
	a, err := r.newVisitor().do(req)
	if err != nil || a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, %v, want 413", a.status, err)
	}
}

// flushed: the first piece arrives well before the last is made.
func flushed(t *testing.T, r *running) {
	resp, err := r.newVisitor().http.Do(newRequest(t, http.MethodGet, host1, "/probe/stream/?n=3&ms=300&bytes=10", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	piece := make([]byte, 10)
	if _, err := io.ReadFull(resp.Body, piece); err != nil {
		t.Fatal(err)
	}
	first := time.Now()
	rest, err := io.ReadAll(resp.Body)
	if err != nil || len(rest) != 20 {
		t.Errorf("then %d bytes, %v, want 20", len(rest), err)
	}
	if between := time.Since(first); between < 300*time.Millisecond {
		t.Errorf("the first of three pieces came %v before the end, want them as they are yielded: 900ms", between)
	}
}

// disconnects: a client that disconnects damages neither the worker nor the connection to
// it, and the worker does not finish the answer.
func disconnects(t *testing.T, r *running) {
	before := r.pids("subdomain1")
	start := time.Now()
	for _, path := range []string{"/probe/sleep/?ms=1000", "/probe/stream/?n=1000&ms=100", "/probe/big/?mb=16"} {
		conn := r.raw()
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host1)
		if strings.Contains(path, "sleep") {
			eventually(t, "the worker to have the request", func() bool { return r.site("subdomain1").Requests.Active == 1 })
		} else if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		r.wantHello()
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("it took %v: the worker went on with a stream of 100s", took)
	}
	for pid := range r.pids("subdomain1") {
		if !before[pid] {
			t.Errorf("the worker was replaced: pids %v, now %d", before, pid)
		}
	}
}

func forged(t *testing.T, r *running) {
	req := newRequest(t, http.MethodGet, host1, "/probe/headers/?a=%2F", nil)
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X_Real_IP", "Proxy"} {
		req.Header[name] = []string{"evil"}
	}
	req.Header["X-Honest"] = []string{"yes"}
	a, err := r.newVisitor().do(req)
	if err != nil {
		t.Fatal(err)
	}
	var environ map[string]string
	if err := json.Unmarshal([]byte(a.body), &environ); err != nil {
		t.Fatalf("status %d, %v:\n%s", a.status, err, a.body)
	}
	for name, value := range environ {
		if strings.Contains(value, "evil") {
			t.Errorf("the application gets %s = %q", name, value)
		}
	}
	for name, want := range map[string]string{
		"HTTP_X_HONEST": "yes", "REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": host1, "REQUEST_METHOD": "GET",
		"QUERY_STRING": "a=%2F", "PATH_INFO": "/probe/headers/", "SCRIPT_NAME": "", "wsgi.url_scheme": "http",
	} {
		if environ[name] != want {
			t.Errorf("the application gets %s = %q, want %q", name, environ[name], want)
		}
	}
}
