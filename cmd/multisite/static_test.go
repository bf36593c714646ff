package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const staticSites = pythonSites + `
[site.noise]
server_name = "noise.example.com"
settings = "noise"

[site.plain]
server_name = "plain.example.com"
settings = "plain"

[site.none]
server_name = "none.example.com"
settings = "plain"
static = false
`

const plainSettings = `
from subdomain1_settings import *
import os

STATIC_ROOT = os.path.join(os.path.dirname(__file__), "collected")
`

const noiseSettings = `
from plain import *

MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "whitenoise.middleware.WhiteNoiseMiddleware"] + MIDDLEWARE
`

// TestStatic: the front door serves the static files of a Django site, unless the site's
// WhiteNoise does or sites.toml forbids it.
func TestStatic(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, staticSites))
	writeFile(t, filepath.Join(r.dir, "plain.py"), plainSettings)
	noise := exec.Command(filepath.Join(django(t), ".venv", "bin", "python3"), "-c", "import whitenoise").Run() == nil
	if noise {
		writeFile(t, filepath.Join(r.dir, "noise.py"), noiseSettings)
	} else {
		writeFile(t, filepath.Join(r.dir, "noise.py"), plainSettings)
	}
	css := filepath.Join(r.dir, "collected", "a.css")
	if err := os.Mkdir(filepath.Dir(css), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, css, strings.Repeat("b{c:d} ", 100))
	writeFile(t, css+".gz", "compressed")
	r.start()
	t.Cleanup(r.finish)

	ask := func(host string) answer {
		req := newRequest(t, http.MethodGet, host, "/static/a.css", nil)
		req.Header.Set("Accept-Encoding", "gzip")
		a, err := r.newVisitor().do(req)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := ask("plain.example.com"); a.status != 200 || a.header.Get("Etag") == "" || a.header.Get("Cache-Control") != "" || a.header.Get("Content-Encoding") != "gzip" || a.body != "compressed" {
		t.Errorf("by the front door: got %d, %v", a.status, a.header)
	}
	r.live("plain: compress changed, no worker restarted\n", "settings = \"plain\"\n", "settings = \"plain\"\ncompress = false\n")
	if a := ask("plain.example.com"); a.status != 200 || a.header.Get("Content-Encoding") != "" || !strings.HasPrefix(a.body, "b{c:d}") {
		t.Errorf("with compress = false: got %d, %v", a.status, a.header)
	}
	if a := ask("none.example.com"); a.status != 404 {
		t.Errorf("with static = false: got %d, %v, want the application's 404", a.status, a.header)
	}
	r.live("none: static changed, no worker restarted\n", "static = false", "")
	if a := ask("none.example.com"); a.status != 200 {
		t.Errorf("without static = false: got %d", a.status)
	}
	if !noise {
		t.Skip("WhiteNoise is not installed: the package index was out of reach")
	}
	a := ask("noise.example.com")
	for name, want := range map[string]string{"Content-Encoding": "gzip", "Cache-Control": "max-age=60, public", "Access-Control-Allow-Origin": "*", "Vary": "Accept-Encoding"} {
		if got := a.header.Get(name); got != want {
			t.Errorf("by WhiteNoise: got %d with %s: %q, want %q", a.status, name, got, want)
		}
	}
	if a.body != "compressed" {
		t.Errorf("by WhiteNoise: got %.60q", a.body)
	}
}
