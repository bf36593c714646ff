package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/status"
)

const visibleApp = `
import os, sys

def application(environ, start_response):
    print("asked for", environ["REQUEST_URI"].encode("latin-1").decode(), "\x1b[2J", file=sys.stderr, flush=True)
    os.kill(os.getpid(), 9)
`

// TestVisible: what a stranger writes into a URL, and a worker into its log, cannot control
// the terminal of the person who reads it.
func TestVisible(t *testing.T) {
	t.Parallel()
	const hidden = "\u202egnp\u202c\u009b2J\u2066"
	r := newRunning(t, newDir(t, pythonSites+"[site.a]\nserver_name = \"a.example.com\"\nwsgi = \"visible:application\"\nwarmup = []\n"))
	writeFile(t, filepath.Join(r.dir, "visible.py"), visibleApp)
	r.start()
	t.Cleanup(r.finish)
	conn := r.raw()
	fmt.Fprintf(conn, "POST /evil%s HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 0\r\n\r\n", hidden)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusBadGateway {
		t.Fatalf("got %v, %v", resp, err)
	}
	resp.Body.Close()
	eventually(t, "the exit to be recorded", func() bool { return strings.Contains(r.must("status", "a"), "/evil") })
	eventually(t, "its output", func() bool { return strings.Contains(r.must("logs", "a"), "asked for") })
	asJSON := r.must("status", "--json")
	for name, text := range map[string]string{
		"status": r.must("status", "a"), "status --json": asJSON, "logs": r.must("logs"), "the console": r.log.String(),
	} {
		if strings.ContainsAny(text, "\u202e\u202c\u009b\u2066\x1b") {
			t.Errorf("%s has it as it is:\n%q", name, text)
		}
		if !strings.Contains(text, `/evil\u202egnp\u202c\u009b2J\u2066`) {
			t.Errorf("%s does not tell of it:\n%s", name, text)
		}
	}
	var st status.Status
	if err := json.Unmarshal([]byte(asJSON), &st); err != nil || !strings.Contains(st.Sites[0].LastExit, "/evil"+hidden) {
		t.Errorf("status --json: got %q, %v", st.Sites[0].LastExit, err)
	}
}
