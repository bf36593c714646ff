package proxy

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// TestAnswer_FilesOfTheApplication: it names the file, and keeps its header.
func TestAnswer_FilesOfTheApplication(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	putFiles(t, root, map[string]string{"in/a b?.pdf": "0123456789", "in/.hidden": "hidden", "in/sub/c": "c", "deep/c": "deeper", "secret": "secret"})
	for link, target := range map[string]string{"in/out": "../secret", "in/inside": "sub/c"} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	says := func(_ *crewWorker, uri string) *wire.Answer {
		u, _ := url.Parse(uri)
		q := u.Query()
		a := &wire.Answer{Status: 200, Body: []byte("instead of this"), Fields: [][2]string{
			{"Content-Disposition", `attachment; filename="x.pdf"`}, {"Cache-Control", "private"}, {"Set-Cookie", "a=b"},
			{"Etag", `"of the worker"`}, {"Last-Modified", "Fri, 02 Jan 2020 03:04:05 GMT"}, {"Content-Length", "15"},
		}}
		if q.Get("type") != "" {
			a.Fields = append(a.Fields, [2]string{"Content-Type", q.Get("type")})
		}
		if q.Get("status") != "" {
			a.Status = 403
		}
		a.Fields = append(a.Fields, [2]string{q.Get("header"), q.Get("path")})
		return a
	}
	f := startFront(t, newCrew(t, 1, says), Options{}, func(s *site.Site) {
		s.Sendfile = []site.Static{{Prefix: "/p/sub/", Dirs: []string{root + "/deep"}}, {Prefix: "/p/", Dirs: []string{root + "/in"}}}
	})
	const accel, sendfile = "X-Accel-Redirect", "X-Sendfile"
	for _, test := range []struct {
		header, path string
		status       int
		want         string
	}{
		{accel, "/p/a%20b%3F.pdf", 200, "0123456789"},
		{accel, "/p/a%20b%3f.pdf?x=y", 200, "0123456789"},
		{accel, "/p/x/..//inside", 200, "c"},
		{accel, "/p/sub/c", 200, "deeper"},
		{accel, "/p/.hidden", 200, "hidden"},
		{accel, "/p/missing", 404, ""},
		{accel, "/p/sub", 404, ""},
		{accel, "/p/", 500, ""},
		{accel, "/p/out", 404, ""},
		{accel, "/p/../secret", 500, ""},
		{accel, "/p/%2e%2e/secret", 500, ""},
		{accel, "/other/a", 500, ""},
		{accel, "http://example.com/p/a", 500, ""},
		{accel, "/p/%zz", 500, ""},
		{accel, "", 500, ""},
		{sendfile, root + "/in/a b?.pdf", 200, "0123456789"},
		{sendfile, root + "/in/../secret", 500, ""},
		{sendfile, root + "/in", 500, ""},
		{sendfile, root + "/in/out", 404, ""},
		{sendfile, root + "/inside", 500, ""},
		{sendfile, "in/sub/c", 500, ""},
		{sendfile, "/etc/passwd", 500, ""},
	} {
		target := "/?header=" + test.header + "&path=" + url.QueryEscape(test.path)
		for way, request := range map[string]string{
			"loop": get(target), "HEAD": strings.Replace(get(target), "GET", "HEAD", 1),
			"net/http": "GET " + target + " HTTP/1.1\r\nHost: site.test\r\nTE: trailers\r\n\r\n",
			"POST":     "POST " + target + " HTTP/1.1\r\nHost: site.test\r\nIf-None-Match: *\r\nRange: bytes=0-0\r\nContent-Length: 1\r\n\r\nx",
		} {
			method, _, _ := strings.Cut(request, " ")
			p := f.dial(request)
			resp, body := p.whole(method)
			h := resp.Header
			if resp.StatusCode != test.status || test.status == 200 && method != "HEAD" && body != test.want || strings.Contains(body, "instead") || strings.Contains(body, "secret") {
				t.Errorf("%s: %s %s: got %d %q", way, test.header, test.path, resp.StatusCode, body)
			}
			if h.Get(accel) != "" || h.Get(sendfile) != "" {
				t.Errorf("%s: %s %s: got %v", way, test.header, test.path, h)
			}
			if test.status == 200 && (h.Get("Cache-Control") != "private" || h.Get("Set-Cookie") != "a=b" || h.Get("Content-Disposition") == "" ||
				h.Get("Last-Modified") != "Fri, 02 Jan 2026 03:04:05 GMT" || len(h["Etag"]) != 1 || resp.ContentLength != int64(len(test.want))) {
				t.Errorf("%s: %s %s: got %v, %d bytes", way, test.header, test.path, h, resp.ContentLength)
			}
			if resp.Close { // an error page for one with a body
				continue
			}
			p.send(get("/next?header=X-A&path=b")) // the connection goes on
			if resp, body := p.whole("GET"); body != "instead of this" || resp.Header.Get("X-A") != "b" {
				t.Errorf("%s: %s %s: then got %q", way, test.header, test.path, body)
			}
		}
	}
	if got := f.logs.String(); !strings.Contains(got, `limit=X-Accel-Redirect`) || !strings.Contains(got, `is below no URL prefix of sendfile`) {
		t.Errorf("logged %s", got)
	}
	ask := func(more, query string) *http.Response {
		resp, _ := f.dial("GET /?header=X-Accel-Redirect&path=/p/a%2520b%253F.pdf" + query + " HTTP/1.1\r\nHost: site.test\r\n" + more + "\r\n").whole("GET")
		return resp
	}
	tag := ask("", "").Header.Get("Etag")
	if resp := ask("Range: bytes=2-4\r\nIf-Range: "+tag+"\r\n", ""); resp.StatusCode != 206 || resp.Header.Get("Content-Range") != "bytes 2-4/10" || resp.Header.Get("Cache-Control") != "private" {
		t.Errorf("a part: got %d %v", resp.StatusCode, resp.Header)
	}
	if resp := ask("If-None-Match: "+tag+"\r\n", ""); resp.StatusCode != 304 {
		t.Errorf("the same: got %d %v", resp.StatusCode, resp.Header)
	}
	for query, want := range map[string]string{"": "application/pdf", "&type=text/x": "text/x"} {
		if resp := ask("", query); resp.Header.Get("Content-Type") != want {
			t.Errorf("%s: got %v", query, resp.Header)
		}
	}
	if resp := ask("", "&status=403"); resp.StatusCode != 403 || resp.Header.Get(accel) != "" {
		t.Errorf("with another status: got %d %v", resp.StatusCode, resp.Header)
	}
}
