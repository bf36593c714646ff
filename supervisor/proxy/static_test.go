package proxy

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

var fileTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// testFiles makes two directories of static files, with secrets in and beside
// them, and returns both.
func testFiles(t *testing.T) (dirs []string) {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"secret.css":            "secret",
		"one/site.css":          "body{}",
		"one/deep/er/a.js":      "let a",
		"one/both.txt":          "first",
		"one/space d\u00e9.txt": "space",
		"one/.env":              "secret",
		"one/.git/config":       "secret",
		"one/deep/.htaccess":    "secret",
		"two/both.txt":          "second",
		"two/only.txt":          "only",
		"two/site.css/a.txt":    "a file above, a directory here",
	} {
		name = filepath.Join(root, name)
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
	t.Cleanup(func() { until(t, "every file is closed", func() bool { return len(openOf(t, root)) == 0 }) })
	one := filepath.Join(root, "one")
	for name, target := range map[string]string{
		"inside.css":   "site.css",
		"outside.css":  "../secret.css",
		"absolute.css": filepath.Join(root, "secret.css"),
		"up":           "..",
		"hop.css":      "up/secret.css",
		"loop.css":     "loop.css",
		"dangling.css": "nothing.css",

		"absolute-inside.css": filepath.Join(one, "site.css"),
		"absolute-dir":        filepath.Join(one, "deep"),
		"absolute-chain.css":  "absolute-inside.css",
		"absolute-alias.css":  filepath.Join(root, "alias", "site.css"),
		"absolute-up":         root,
		"absolute-back.css":   filepath.Join(one, "..", "secret.css"),
		"absolute-dangling":   filepath.Join(one, "nothing.css"),
		"absolute-pipe":       filepath.Join(one, "pipe"),
	} {
		if err := os.Symlink(target, filepath.Join(one, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("one", filepath.Join(root, "alias")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(one, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{one, filepath.Join(root, "missing"), filepath.Join(root, "two")}
}

const app = "from the app"

// TestProxy_ServesFiles asks for each path at /static/, where the app gets what
// is no file, and at /only/, where nobody does.
func TestProxy_ServesFiles(t *testing.T) {
	t.Parallel()
	dirs := testFiles(t)
	for _, s := range bothSides(t, func(st *site.Site) {
		st.Static = []site.Static{{Prefix: "/static/", Dirs: dirs}, {Prefix: "/only/", Dirs: dirs, Only: true}}
	}) {
		for _, test := range []struct{ path, want string }{
			{"site.css", "body{}"},
			{"site.css?v=3", "body{}"},
			{"deep/er/a.js", "let a"},
			{"deep//er/./a.js", "let a"},
			{"deep/../site.css", "body{}"},
			{"space%20d%C3%A9.txt", "space"},
			{"both.txt", "first"},
			{"only.txt", "only"},
			{"site.css/a.txt", "a file above, a directory here"},
			{"inside.css", "body{}"},
			{"", ""},
			{"deep", ""},
			{"deep/", ""},
			{"site.css/", ""},
			{"missing.css", ""},
			{"Site.css", ""},
			{".env", ""},
			{"%2eenv", ""},
			{".git/config", ""},
			{"deep/.htaccess", ""},
			{"deep/../.env", ""},
			{"../secret.css", ""},
			{"../../secret.css", ""},
			{"%2e%2e/secret.css", ""},
			{"..%2fsecret.css", ""},
			{"deep/../../secret.css", ""},
			{"..\\secret.css", ""},
			{"/" + filepath.Dir(dirs[0]) + "/secret.css", ""},
			{"outside.css", ""},
			{"absolute.css", ""},
			{"hop.css", ""},
			{"up/secret.css", ""},
			{"loop.css", ""},
			{"dangling.css", ""},
			{"pipe", ""},
			{"absolute-inside.css", "body{}"},
			{"absolute-dir/er/a.js", "let a"},
			{"absolute-chain.css", "body{}"},
			{"absolute-alias.css", "body{}"},
			{"absolute-up/secret.css", ""},
			{"absolute-up/one/site.css", "body{}"},
			{"absolute-back.css", ""},
			{"absolute-dangling", ""},
			{"absolute-pipe", ""},
			{"site.css%00", ""},
			{"%ff", ""},
		} {
			resp, body := s.raw("GET", "/static/"+test.path)
			if want := test.want; resp.StatusCode != 200 || want == "" && body != app || want != "" && body != want {
				t.Errorf("%s: /static/%s: got %d %.60q, want %q", s.name, test.path, resp.StatusCode, body, want)
			}
			resp, body = s.raw("GET", "/only/"+test.path)
			if want := test.want; want == "" && resp.StatusCode != 404 || want != "" && body != want {
				t.Errorf("%s: /only/%s: got %d %.60q, want %q", s.name, test.path, resp.StatusCode, body, want)
			}
			if strings.Contains(body, "secret") && test.path != "" {
				t.Errorf("%s: /only/%s: got %q", s.name, test.path, body)
			}
		}
		if _, body := s.raw("GET", "/staticsite.css"); body != app {
			t.Errorf("%s: a path that only begins like the prefix: got %q", s.name, body)
		}
	}
}

// side is a half of the front door: both serve files alike.
type side struct {
	tb      testing.TB
	name    string
	dial    func(text string) *peer
	entries chan site.Entry
	claims  func() int
}

// bothSides starts the front door, and net/http alone, for a site whose application
// answers everything with app.
func bothSides(t *testing.T, change func(*site.Site)) []*side {
	t.Helper()
	b := newBackend(t, says(200, app))
	s := startSite(t, b, change)
	s.entries = make(chan site.Entry, 4096)
	says := func(*crewWorker, string) *wire.Answer { return &wire.Answer{Status: 200, Body: []byte(app)} }
	f := startFront(t, newCrew(t, 2, says), Options{}, change)
	asked := func() int {
		n, claimed, _ := f.crew.counts()
		return n + claimed
	}
	return []*side{{t, "net/http", s.dial, s.entries, func() int { return len(b.ends()) }}, {t, "the loop", f.dial, f.entries, asked}}
}

// raw sends a path as it stands.
func (s *side) raw(method, path string, header ...string) (*http.Response, string) {
	s.tb.Helper()
	text := method + " " + path + " HTTP/1.1\r\nHost: site.test\r\n"
	for i := 0; i < len(header); i += 2 {
		text += header[i] + ": " + header[i+1] + "\r\n"
	}
	p := s.dial(text + "\r\n")
	defer p.Close()
	return p.whole(method)
}

func TestProxy_ServesFilesAsHTTPAsks(t *testing.T) {
	t.Parallel()
	for _, s := range bothSides(t, func(st *site.Site) {
		st.Static = []site.Static{{Prefix: "/static/", Dirs: testFiles(t)}}
	}) {
		resp, _ := s.raw("GET", "/static/site.css")
		etag, modified := resp.Header.Get("Etag"), resp.Header.Get("Last-Modified")
		if len(etag) < 5 || modified != "Fri, 02 Jan 2026 03:04:05 GMT" {
			t.Errorf("%s: got Etag %s, Last-Modified %s", s.name, etag, modified)
		}
		if h := resp.Header; h.Get("Content-Type") != "text/css; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Length") != "6" {
			t.Errorf("%s: got %v", s.name, h)
		}
		<-s.entries
		for _, test := range []struct {
			name, method string
			header       []string
			status       int
			body         string
		}{
			{"HEAD", "HEAD", nil, 200, ""},
			{"range", "GET", []string{"Range", "bytes=1-3"}, 206, "ody"},
			{"last bytes", "GET", []string{"Range", "bytes=-2"}, 206, "{}"},
			{"range beyond", "GET", []string{"Range", "bytes=6-"}, 416, "invalid range: failed to overlap\n"},
			{"same tag", "GET", []string{"If-None-Match", etag}, 304, ""},
			{"other tag", "GET", []string{"If-None-Match", `"other"`}, 200, "body{}"},
			{"not newer", "GET", []string{"If-Modified-Since", modified}, 304, ""},
			{"newer", "GET", []string{"If-Modified-Since", "Fri, 02 Jan 2026 03:04:04 GMT"}, 200, "body{}"},
			{"range of the same", "GET", []string{"Range", "bytes=0-0", "If-Range", etag}, 206, "b"},
			{"unit in capitals", "GET", []string{"Range", "BYTES=1-3"}, 206, "ody"},
			{"another unit", "GET", []string{"Range", "lines=1-2"}, 200, "body{}"},
			{"no unit", "GET", []string{"Range", "1-2"}, 200, "body{}"},
			{"nonsense", "GET", []string{"Range", "bytes=x"}, 416, "invalid range\n"},
			{"two wishes", "GET", []string{"Range", "bytes=0-0", "Range", "bytes=1-1"}, 200, "body{}"},
			{"many of a small file", "GET", []string{"Range", "bytes=0-0,2-2,4-4"}, 200, "body{}"},
			{"range of HEAD", "HEAD", []string{"Range", "bytes=1-3"}, 200, ""},
			{"range of another", "GET", []string{"Range", "bytes=0-0", "If-Range", `"other"`}, 200, "body{}"},
		} {
			resp, body := s.raw(test.method, "/static/site.css", test.header...)
			if resp.StatusCode != test.status || body != test.body {
				t.Errorf("%s: %s: got %d %q, want %d %q", s.name, test.name, resp.StatusCode, body, test.status, test.body)
			}
			if e := <-s.entries; e.Status != test.status || e.Bytes != int64(len(test.body)) || (e.Worker == "") != (body != app) {
				t.Errorf("%s: %s: logged as %d, %d bytes, worker %q", s.name, test.name, e.Status, e.Bytes, e.Worker)
			}
		}
	}
}

// TestProxy_OnlyReadsFiles: another method is for the application, unless there is a file.
func TestProxy_OnlyReadsFiles(t *testing.T) {
	t.Parallel()
	dirs := testFiles(t)
	for _, s := range bothSides(t, func(st *site.Site) {
		st.Static = []site.Static{{Prefix: "/static/", Dirs: dirs}, {Prefix: "/only/", Dirs: dirs, Only: true}}
	}) {
		for _, test := range []struct {
			path   string
			status int
		}{
			{"/static/site.css", 405}, {"/only/site.css", 405}, {"/static/deep/er/a.js", 405},
			{"/static/missing.css", 200}, {"/only/missing.css", 404}, {"/static/.env", 200}, {"/only/deep", 404},
		} {
			for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PURGE"} {
				resp, body := s.raw(method, test.path)
				if resp.StatusCode != test.status || (resp.Header.Get("Allow") == "GET, HEAD") != (test.status == 405) {
					t.Errorf("%s: %s %s: got %d, %v", s.name, method, test.path, resp.StatusCode, resp.Header)
				}
				if strings.Contains(body, "body{}") {
					t.Errorf("%s: %s %s: got %q", s.name, method, test.path, body)
				}
			}
		}
	}
}

// TestProxy_RangesDoNotAmplify: parts of a file are never much more than the file.
func TestProxy_RangesDoNotAmplify(t *testing.T) {
	t.Parallel()
	const size = 100 << 10
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "large.bin"), []byte(strings.Repeat("x", size)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, s := range bothSides(t, func(st *site.Site) { st.Static = []site.Static{{Prefix: "/", Dirs: []string{dir}, Only: true}} }) {
		for _, test := range []struct {
			name, wish string
			n          int
			status     int
			most       int
		}{
			{"some parts", "0-0,", 16, 206, 16 << 10},
			{"one part more", "0-0,", 17, 200, size},
			{"very many", "0-0,", 10000, 200, size},
			{"the whole, twice", "0-,", 2, 200, size},
			{"the whole, many times", "0-,", 10, 200, size},
			{"overlapping halves", "0-51199,1-51200,", 1, 206, size + 16<<10},
			{"suffixes", "-90000,", 2, 200, size},
		} {
			resp, body := s.raw("GET", "/large.bin", "Range", "bytes="+strings.TrimSuffix(strings.Repeat(test.wish, test.n), ","))
			if resp.StatusCode != test.status || len(body) > test.most || test.status == 200 && len(body) != size {
				t.Errorf("%s: %s: got %d and %d bytes, want %d and at most %d", s.name, test.name, resp.StatusCode, len(body), test.status, test.most)
			}
		}
	}
}

// TestProxy_ServesChangedFiles after a moment: same second of the file's time, same size.
func TestProxy_ServesChangedFiles(t *testing.T) {
	t.Parallel()
	dirs := testFiles(t)
	for i, s := range bothSides(t, func(st *site.Site) {
		st.Static = []site.Static{{Prefix: "/", Dirs: dirs, Only: true}}
	}) {
		before, _ := s.raw("GET", "/site.css")
		name := filepath.Join(dirs[0], "site.css")
		if err := os.WriteFile(name, []byte("a{b:c}"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, fileTime, fileTime.Add(time.Duration(i+1)*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		until(t, "changed", func() bool {
			resp, body := s.raw("GET", "/site.css", "If-None-Match", before.Header.Get("Etag"))
			<-s.entries
			if resp.StatusCode == 200 && body != "a{b:c}" {
				t.Fatalf("%s: got %q", s.name, body)
			}
			return resp.StatusCode == 200
		})
	}
}

// TestProxy_ServesFilesWithoutWorkers, and takes the first prefix that has one.
func TestProxy_ServesFilesWithoutWorkers(t *testing.T) {
	t.Parallel()
	dirs := testFiles(t)
	for _, s := range bothSides(t, func(st *site.Site) {
		st.Static = []site.Static{{Prefix: "/static/", Dirs: dirs[2:]}, {Prefix: "/", Dirs: dirs[:1], Only: true}}
	}) {
		if _, body := s.raw("GET", "/static/both.txt"); body != "second" {
			t.Errorf("%s: got %q", s.name, body)
		}
		if _, body := s.raw("GET", "/both.txt"); body != "first" {
			t.Errorf("%s: got %q", s.name, body)
		}
		if resp, body := s.raw("GET", "/static/site.css"); resp.StatusCode != 404 || !strings.Contains(body, "404 Not Found") {
			t.Errorf("%s: got %d %q", s.name, resp.StatusCode, body)
		}
		if n := s.claims(); n > 0 {
			t.Errorf("%s: %d claims", s.name, n)
		}
	}
}
