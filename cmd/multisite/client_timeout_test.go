package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestClientTimeouts: the timeouts for slow clients are those of sites.toml, also after a
// reload has changed them.
func TestClientTimeouts(t *testing.T) {
	t.Parallel()
	const limit = time.Second
	r := up(t, fmt.Sprintf("header_timeout = %[1]q\nidle_timeout = %[1]q\nclient_timeout = %[1]q\n", limit)+pythonSites+subdomain1)
	for name, client := range map[string]struct {
		sends  string
		status int // 0: no answer
	}{
		"sends nothing":        {"", 0},
		"sends half a head":    {"GET / HTTP/1.1\r\nHost: ", 408},
		"asks once":            {"GET /hello/ HTTP/1.1\r\nHost: " + host1 + "\r\n\r\n", 200},
		"sends half of a body": {"POST /probe/echo/ HTTP/1.1\r\nContent-Length: 8\r\nHost: " + host1 + "\r\n\r\nhalf", 408},
	} {
		t.Run(name, func(t *testing.T) {
			wantEnded(t, r.in(t).raw(), client.sends, client.status, limit)
		})
	}
	r.rewrite("client_timeout = \"1s\"", "client_timeout = \"2s\"")
	if got := r.multisite("reload"); got.code != 1 || !strings.Contains(got.stderr, "client_timeout") || !strings.Contains(got.stderr, "needs a new start; nothing was reloaded") {
		t.Errorf("reload: exit %d\n%s", got.code, got.stderr)
	}
}

// wantEnded fails if a connection is closed too early, or only after the default timeout.
func wantEnded(t *testing.T, conn net.Conn, sends string, status int, limit time.Duration) {
	t.Helper()
	begin := time.Now()
	if _, err := io.WriteString(conn, sends); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	if status != 0 {
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != status {
			t.Fatalf("got %v, %v, want status %d", resp, err, status)
		}
		_, _ = io.Copy(io.Discard, resp.Body) // only the end of the connection matters
	}
	rest, err := io.ReadAll(in)
	if took := time.Since(begin); took < limit || took > 8*time.Second || err != nil || len(rest) > 0 {
		t.Errorf("closed after %v (%v), want %v; then came %q", took, err, limit, rest)
	}
}
