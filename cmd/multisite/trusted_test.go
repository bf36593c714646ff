package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTrustedProxies: the address of a client behind a load balancer, as the worker and the
// access log get it. Each request is sent in two forms: one that the fast loop answers, one
// that net/http answers.
func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	r := up(t, `trusted_proxies = ["::ffff:127.0.0.9/128"]`+"\n"+pythonSites+"processes = 2\n"+subdomain1)
	const forger = "X_Forwarded_For: 6.6.6.6\r\nX_Forwarded_Proto: https\r\nX-Remote-User: real\r\nX_Remote_User: admin\r\n"
	for _, test := range []struct{ peer, header, addr, scheme string }{
		{"127.0.0.9", "X-Forwarded-For: 203.0.113.7:4711\r\nX-Forwarded-Proto: HTTPS\r\n", "203.0.113.7", "https"},
		{"127.0.0.9", "X-Forwarded-For: 6.6.6.6, \"[2001:db8::1]:4711\"\r\n", "2001:db8::1", "http"},
		{"127.0.0.9", "X-Forwarded-For: ::ffff:203.0.113.7\r\nX-Forwarded-Proto: https,http\r\n", "203.0.113.7", "http"},
		{"127.0.0.9", "X-Forwarded-For: fe80::1%x - - [01/Jan/2026:00:00:00 +0000] \"GET /fake HTTP/1.1\" 200 1\r\n", "127.0.0.9", "http"},
		{"127.0.0.9", "Forwarded: for=203.0.113.7;proto=https\r\n", "203.0.113.7", "https"},
		{"127.0.0.9", "Forwarded: for=6.6.6.6;proto=https\r\nX-Forwarded-For: 203.0.113.7\r\n", "203.0.113.7", "http"},
		{"127.0.0.1", "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6;proto=https\r\n", "127.0.0.1", "http"},
	} {
		for _, line := range []string{"GET /probe/headers/", "GET /probe/header%73/"} {
			for range 5 { // the result must not depend on any order
				environ := r.environFrom(t, test.peer, line, test.header+forger)
				if environ["REMOTE_ADDR"] != test.addr || environ["wsgi.url_scheme"] != test.scheme || environ["HTTP_X_REMOTE_USER"] != "real" {
					t.Errorf("%s of %s with %q: got %s from %q as %q", line, test.peer, test.header,
						environ["wsgi.url_scheme"], environ["REMOTE_ADDR"], environ["HTTP_X_REMOTE_USER"])
				}
				for name, value := range environ {
					if value == "6.6.6.6" || name == "HTTP_FORWARDED" && strings.Contains(value, "6.6.6.6") {
						t.Errorf("%s of %s with %q: the application gets %s = %q", line, test.peer, test.header, name, value)
					}
				}
			}
		}
	}
	var log string
	eventually(t, "all to be in the access log", func() bool {
		b, _ := os.ReadFile(filepath.Join(r.dir, ".multisite", "logs", "subdomain1.access.log")) // it may not exist yet
		log = string(b)
		return strings.Count(log, "/probe/header") == 70
	})
	for line := range strings.Lines(log) {
		addr, _, _ := strings.Cut(line, " - - [")
		if net.ParseIP(addr) == nil || strings.Contains(line, "/fake") {
			t.Errorf("the access log has %q", line)
		}
	}
}

// environFrom sends a request from an address of the loopback interface, and returns the
// environ of the application.
func (r *running) environFrom(t *testing.T, peer, line, header string) (environ map[string]string) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(peer)}, Timeout: patience}
	conn, err := d.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience)) // cannot fail on a new connection
	fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: %s\r\n%s\r\n", line, host1, header)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&environ); err != nil {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return environ
}
