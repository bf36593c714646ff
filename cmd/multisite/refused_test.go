package main

import (
	"bufio"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRefused: requests that the front door answers itself are counted in status and have
// a line in its own access log.
func TestRefused(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+subdomain1)
	for text, status := range map[string]int{
		"GET /secret HTTP/1.1\r\nHost: other.example\r\n\r\n": http.StatusMisdirectedRequest,
		"GET / HTTP/1.1\r\n\r\n":                              http.StatusBadRequest,
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n":      http.StatusBadRequest,
	} {
		conn := r.raw()
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != status {
			t.Fatalf("%q: got %v, %v, want %d", text, resp, err, status)
		}
		resp.Body.Close()
		conn.Close()
	}
	eventually(t, "all requests to be counted", func() bool {
		return maps.Equal(r.status().Supervisor.Refused, map[int]int64{400: 2, 421: 1})
	})
	if out := r.must("status"); !strings.Contains(out, "\nrefused     2 × 400, 1 × 421, see multisite.access.log\n") {
		t.Errorf("status says\n%s", out)
	}
	var st struct {
		Supervisor struct{ Refused map[string]int }
	}
	if err := json.Unmarshal([]byte(r.must("status", "--json")), &st); err != nil || !maps.Equal(st.Supervisor.Refused, map[string]int{"400": 2, "421": 1}) {
		t.Errorf("status --json says %v, %v", st, err)
	}
	var log string
	eventually(t, "all to be in the log", func() bool {
		b, _ := os.ReadFile(filepath.Join(r.dir, ".multisite", "logs", "multisite.access.log")) // it may not exist yet
		log = string(b)
		return strings.Count(log, "\n") == 3
	})
	for _, want := range []string{
		`"GET /secret HTTP/1.1" 421 `, ` - site=- host="other.example" why="no site has this name"`,
		`why="not one valid Host"`, `"\x16\x03\x01`, `why="TLS, where HTTP is spoken"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s:\n%s", want, log)
		}
	}
	r.must("upgrade")
	if got := r.status().Supervisor.Refused; !maps.Equal(got, map[int]int64{400: 2, 421: 1}) {
		t.Errorf("after an upgrade status counts %v", got)
	}
}

func TestPrintRefused(t *testing.T) {
	t.Parallel()
	if got := refusedLine(nil); got != "" {
		t.Errorf("got %q of nothing", got)
	}
}
