package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"testing"
	"time"
)

// visitor is an HTTP client that finds every host name at one address.
type visitor struct {
	t    testing.TB
	http *http.Client
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// newVisitor returns a visitor with cookies of its own, who follows redirects.
func (r *running) newVisitor() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return &visitor{r.t, &http.Client{Transport: dialing(r.t, r.addr), Jar: jar, Timeout: patience}}
}

// dialing returns a transport that connects to one address, whatever the host.
func dialing(t testing.TB, addr string) *http.Transport {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		},
		DisableCompression: true,
		ForceAttemptHTTP2:  false,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// do sends a request and reads the whole answer.
func (v *visitor) do(req *http.Request) (answer, error) {
	resp, err := v.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

func (v *visitor) get(host, path string) answer {
	v.t.Helper()
	a, err := v.do(newRequest(v.t, http.MethodGet, host, path, nil))
	if err != nil {
		v.t.Fatal(err)
	}
	return a
}

func newRequest(t testing.TB, method, host, path string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+path, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// get sends a request on a new connection.
func (r *running) get(host, path string) answer {
	r.t.Helper()
	return r.newVisitor().get(host, path)
}

// whoami is the answer of /whoami/ in the article's project.
type whoami struct {
	PID        int    `json:"pid"`
	SiteID     int    `json:"site_id"`
	Settings   string `json:"settings"`
	URLConf    string `json:"urlconf"`
	Python     string `json:"python"`
	Executable string `json:"executable"`
	Django     string `json:"django"`
}

func (v *visitor) whoami(host string) whoami {
	v.t.Helper()
	a := v.get(host, "/whoami/")
	var who whoami
	if err := json.Unmarshal([]byte(a.body), &who); err != nil {
		v.t.Fatalf("%s/whoami/: status %d, %v:\n%s", host, a.status, err, a.body)
	}
	return who
}

// raw connects to the front door without HTTP.
func (r *running) raw() *net.TCPConn {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience)) // cannot fail on a new connection
	return conn.(*net.TCPConn)
}
