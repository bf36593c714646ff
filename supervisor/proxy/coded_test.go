package proxy

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/multisite/multisite/supervisor/rules"
	"github.com/multisite/multisite/supervisor/site"
)

// plainText is what is compressed.
var plainText = strings.Repeat("body { color: red }\n", 500)

// putFiles makes files below a directory, all of the same time.
func putFiles(t *testing.T, dir string, texts map[string]string) {
	t.Helper()
	for name, text := range texts {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, fileTime, fileTime); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { until(t, "every file is closed", func() bool { return len(openOf(t, dir)) == 0 }) })
}

// decoded returns the contents of a body, in whatever coding its header says.
func decoded(t *testing.T, h http.Header, body string) string {
	t.Helper()
	var r io.Reader = strings.NewReader(body)
	switch h.Get("Content-Encoding") {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		r = z
	case "zstd":
		z, err := zstd.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		r = z
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestProxy_EncodesFiles in what the client accepts, and says so.
func TestProxy_EncodesFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	putFiles(t, dir, map[string]string{
		"a.css": plainText, "small.css": plainText[:1000], "a.png": plainText, "random.txt": string(pattern(1)) + randomText(5000),
		"beside.js": plainText, "beside.js.br": "br", "beside.js.gz": "gz", "old.js": plainText, "old.js.gz": "old",
		"linked.js": plainText, "large.txt": strings.Repeat(plainText, 1000),
	})
	if err := os.Chtimes(filepath.Join(dir, "old.js.gz"), fileTime, fileTime.Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "linked.js.gz")); err != nil {
		t.Fatal(err)
	}
	for _, s := range bothSides(t, func(st *site.Site) { st.Static = []site.Static{{Prefix: "/s/", Dirs: []string{dir}}} }) {
		for _, test := range []struct {
			path, accept string
			code, body   string // "": the contents
			tag          string // what the ETag begins and ends with
			vary         bool
		}{
			{"a.css", "gzip", "gzip", "", `W/" -gzip"`, true},
			{"a.css", "gzip, br, zstd", "zstd", "", `W/" -zstd"`, true},
			{"a.css", "", "", "", `" "`, true},
			{"a.css", "br", "", "", `" "`, true},
			{"a.css", "gzip;q=0", "", "", `" "`, true},
			{"a.css", "identity, gzip;q=0.5", "", "", `" "`, true},
			{"a.css", "gzip, *;q=0", "gzip", "", `W/" -gzip"`, true},
			{"a.png", "identity;q=0", "", "", `" "`, false},
			{"small.css", "gzip", "", plainText[:1000], `" "`, false},
			{"a.png", "gzip", "", "", `" "`, false},
			{"random.txt", "gzip", "", string(pattern(1)) + randomText(5000), `" "`, true},
			{"beside.js", "gzip, br", "br", "br", `" -br"`, true},
			{"beside.js", "gzip", "gzip", "gz", `" -gzip"`, true},
			{"beside.js", "zstd", "zstd", "", `W/" -zstd"`, true},
			{"beside.js", "*", "br", "br", `" -br"`, true},
			{"beside.js", "", "", "", `" "`, true},
			{"beside.js.gz", "gzip", "", "gz", `" "`, false},
			{"old.js", "gzip", "gzip", "", `W/" -gzip"`, true},
			{"linked.js", "gzip", "gzip", "", `W/" -gzip"`, true},
			{"large.txt", "gzip", "", strings.Repeat(plainText, 1000), `" "`, false},
		} {
			for range 2 { // when it is encoded, and what is kept of that
				resp, body := s.raw("GET", "/s/"+test.path, "Accept-Encoding", test.accept)
				h := resp.Header
				want := test.body
				if want == "" {
					want = plainText
				}
				got := body
				if test.body == "" {
					got = decoded(t, h, body)
				}
				tag := h.Get("Etag")
				first, last, _ := strings.Cut(test.tag, " ")
				if resp.StatusCode != 200 || h.Get("Content-Encoding") != test.code || got != want || h.Get("Content-Length") != strconv.Itoa(len(body)) {
					t.Errorf("%s: %s for %q: got %d %v, %d bytes", s.name, test.path, test.accept, resp.StatusCode, h, len(body))
				}
				if !strings.HasPrefix(tag, first) || !strings.HasSuffix(tag, last) || test.vary != (h.Get("Vary") == "Accept-Encoding") {
					t.Errorf("%s: %s for %q: got Etag %s, Vary %s", s.name, test.path, test.accept, tag, h.Get("Vary"))
				}
				head, empty := s.raw("HEAD", "/s/"+test.path, "Accept-Encoding", test.accept)
				if empty != "" || !equalHeader(head.Header, h) {
					t.Errorf("%s: HEAD %s: got %v, want %v", s.name, test.path, head.Header, h)
				}
				not, _ := s.raw("GET", "/s/"+test.path, "Accept-Encoding", test.accept, "If-None-Match", tag)
				if not.StatusCode != 304 || not.Header.Get("Etag") != tag || not.Header.Get("Vary") != h.Get("Vary") || not.Header.Get("Content-Encoding") != "" {
					t.Errorf("%s: %s: got %d %v", s.name, test.path, not.StatusCode, not.Header)
				}
			}
		}
	}
}

// TestProxy_FilesVaryWithHeaders: whatever a site does to Vary, a cache learns that there are
// several codings of a file.
func TestProxy_FilesVaryWithHeaders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	putFiles(t, dir, map[string]string{"a.css": plainText})
	for want, headers := range map[string]*rules.Headers{
		"Origin, Accept-Encoding": {Set: [][2]string{{"Vary", "Origin"}}},
		"Accept-Encoding":         {Remove: []string{"Vary"}},
	} {
		for _, s := range bothSides(t, func(st *site.Site) {
			st.Static, st.Headers = []site.Static{{Prefix: "/s/", Dirs: []string{dir}}}, headers
		}) {
			resp, _ := s.raw("GET", "/s/a.css", "Accept-Encoding", "gzip")
			if got := strings.Join(resp.Header["Vary"], "; "); got != want || resp.Header.Get("Content-Encoding") != "gzip" {
				t.Errorf("%s: got Vary %q, want %q", s.name, got, want)
			}
		}
	}
}

// randomText cannot be compressed.
func randomText(n int) string {
	b, x := make([]byte, n), uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return string(b)
}

// equalHeader compares two answers but for what differs for each.
func equalHeader(a, b http.Header) bool {
	for _, h := range []http.Header{a, b} {
		h.Del("Date")
		h.Del("X-Request-Id")
	}
	var x, y bytes.Buffer
	return a.Write(&x) == nil && b.Write(&y) == nil && x.String() == y.String()
}

// TestProxy_RangesOfEncodedFiles are of what stands encoded on the disk, or of the plain
// contents.
func TestProxy_RangesOfEncodedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	putFiles(t, dir, map[string]string{"a.css": plainText, "beside.js": plainText, "beside.js.gz": strings.Repeat("gz", 5000)})
	for _, s := range bothSides(t, func(st *site.Site) { st.Static = []site.Static{{Prefix: "/s/", Dirs: []string{dir}}} }) {
		tagOf := func(path string, header ...string) string {
			resp, _ := s.raw("GET", path, header...)
			return resp.Header.Get("Etag")
		}
		gzip := []string{"Accept-Encoding", "gzip", "Range", "bytes=1-4"}
		for _, test := range []struct {
			name, path string
			header     []string
			status     int
			code, body string
		}{
			{"encoded beside it", "/s/beside.js", gzip, 206, "gzip", "zgzg"},
			{"the same encoded", "/s/beside.js", append(gzip, "If-Range", tagOf("/s/beside.js", "Accept-Encoding", "gzip")), 206, "gzip", "zgzg"},
			{"began plain", "/s/beside.js", append(gzip, "If-Range", tagOf("/s/beside.js")), 200, "gzip", strings.Repeat("gz", 5000)},
			{"plain", "/s/beside.js", gzip[2:], 206, "", "ody "},
			{"encoded here", "/s/a.css", gzip, 206, "", "ody "},
			{"began encoded here", "/s/a.css", append(gzip, "If-Range", tagOf("/s/a.css", "Accept-Encoding", "gzip")), 200, "", plainText},
		} {
			resp, body := s.raw("GET", test.path, test.header...)
			if resp.StatusCode != test.status || resp.Header.Get("Content-Encoding") != test.code || body != test.body {
				t.Errorf("%s: %s: got %d %v %.20q", s.name, test.name, resp.StatusCode, resp.Header, body)
			}
		}
	}
}

// TestProxy_NoCompression sends files as they are, whatever stands beside them.
func TestProxy_NoCompression(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	putFiles(t, dir, map[string]string{"a.css": plainText, "a.css.gz": "gz"})
	for _, s := range bothSides(t, func(st *site.Site) {
		st.Static, st.NoCompression = []site.Static{{Prefix: "/s/", Dirs: []string{dir}}}, true
	}) {
		if resp, body := s.raw("GET", "/s/a.css", "Accept-Encoding", "gzip"); body != plainText || resp.Header.Get("Vary") != "" {
			t.Errorf("%s: got %v %.20q", s.name, resp.Header, body)
		}
	}
}

// TestProxy_IndexOfDirectories, and files that sites.toml names.
func TestProxy_IndexOfDirectories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	putFiles(t, dir, map[string]string{
		"index.html": "top", "docs/index.html": "docs", "docs/a b/index.html": "space", "none/a.txt": "a", "robots.txt": "robots", "both/index.html/x": "x",
	})
	if err := os.Symlink("../robots.txt", filepath.Join(dir, "docs", "link.txt")); err != nil {
		t.Fatal(err)
	}
	named := func(prefix, name string) site.Static {
		return site.Static{Prefix: prefix, Dirs: []string{filepath.Join(dir, name)}, Only: true}
	}
	for _, s := range bothSides(t, func(st *site.Site) {
		st.Index = "index.html"
		st.Static = []site.Static{
			{Prefix: "/s/", Dirs: []string{filepath.Join(dir, "none"), dir}, Only: true},
			named("/robots.txt", "robots.txt"), named("/link", "docs/link.txt"), named("/docs", "docs"), named("/missing.txt", "missing.txt"),
		}
	}) {
		for _, test := range []struct {
			path   string
			status int
			want   string // the body, or Location
		}{
			{"/s/", 200, "top"},
			{"/s/docs/", 200, "docs"},
			{"/s/docs", 301, "/s/docs/"},
			{"/s/docs?a=b", 301, "/s/docs/?a=b"},
			{"/s/docs/a%20b", 301, "/s/docs/a%20b/"},
			{"/s/docs//a%20b/", 200, "space"},
			{"/s//docs", 301, "/s/docs/"},
			{"/s/none", 404, ""},
			{"/s/none/", 404, ""},
			{"/s/both", 404, ""},
			{"/s/both/", 404, ""},
			{"/s/docs/index.html/", 404, ""},
			{"/s/../", 200, "top"},
			{"/robots.txt", 200, "robots"},
			{"/robots.txt/", 404, ""},
			{"/robots.txt/a", 404, ""},
			{"/robots.txtx", 200, app},
			{"/link", 200, "robots"},
			{"/docs", 301, "/docs/"},
			{"/docs/", 200, "docs"},
			{"/docs/link.txt", 404, ""},
			{"/missing.txt", 404, ""},
		} {
			resp, body := s.raw("GET", test.path)
			if test.status == 301 {
				body = resp.Header.Get("Location")
			}
			if resp.StatusCode != test.status || test.want != "" && body != test.want {
				t.Errorf("%s: %s: got %d %.40q, want %d %q", s.name, test.path, resp.StatusCode, body, test.status, test.want)
			}
		}
	}
}

// TestProxy_ImmutableFiles are those that Django's manifest lists by their hashes.
func TestProxy_ImmutableFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	putFiles(t, dir, map[string]string{
		"a.css": plainText, "a.123456789abc.css": plainText, "plain.css": "p", "b.123456789abc.css": "not listed",
		"staticfiles.json": `{"paths": {"a.css": "a.123456789abc.css", "plain.css": "plain.css"}, "version": "1.1"}`,
	})
	for _, s := range bothSides(t, func(st *site.Site) { st.Static = []site.Static{{Prefix: "/s/", Dirs: []string{dir}}} }) {
		for name, want := range map[string]string{"a.123456789abc.css": "public, max-age=31536000, immutable", "a.css": "", "plain.css": "", "b.123456789abc.css": ""} {
			for _, accept := range []string{"gzip", ""} {
				resp, _ := s.raw("GET", "/s/"+name, "Accept-Encoding", accept)
				if got := resp.Header.Get("Cache-Control"); resp.StatusCode != 200 || got != want {
					t.Errorf("%s: %s: got %d, %q", s.name, name, resp.StatusCode, got)
				}
				not, _ := s.raw("GET", "/s/"+name, "Accept-Encoding", accept, "If-None-Match", "*")
				if got := not.Header.Get("Cache-Control"); not.StatusCode != 304 || got != want {
					t.Errorf("%s: %s: 304 with %q", s.name, name, got)
				}
			}
		}
	}
	putFiles(t, dir, map[string]string{"staticfiles.json": `{"paths": {"b.css": "b.123456789abc.css"}}`})
	if err := os.Chtimes(filepath.Join(dir, "staticfiles.json"), fileTime, fileTime.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, s := range bothSides(t, func(st *site.Site) { st.Static = []site.Static{{Prefix: "/s/", Dirs: []string{dir}}} }) {
		until(t, "the manifest is read again", func() bool {
			resp, _ := s.raw("GET", "/s/b.123456789abc.css")
			was, _ := s.raw("GET", "/s/a.123456789abc.css")
			return resp.Header.Get("Cache-Control") != "" && was.Header.Get("Cache-Control") == ""
		})
	}
}
