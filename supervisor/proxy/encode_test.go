package proxy

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/rules"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

func encodes(s *site.Site) { s.Encode.On = true }

// ways are requests that the loop answers, and that net/http does.
func ways(method, path string, header ...string) map[string]string {
	text := method + " " + path + " HTTP/1.1\r\nHost: site.test\r\n" + strings.Join(header, "\r\n") + "\r\n\r\n"
	return map[string]string{"loop": text, "net/http": strings.Replace(text, "\r\n", "\r\nTE: trailers\r\n", 1)}
}

// TestAnswer_EncodesAnySize of a Python worker's answers, in one piece and in several, with a
// length and without.
func TestAnswer_EncodesAnySize(t *testing.T) {
	t.Parallel()
	text := distinct(1 << 20)
	crew := newCrewOf(t, (*crew).hirePython, 1, func(_ *crewWorker, uri string) *wire.Answer {
		var size, pieces, length int
		_, _ = fmt.Sscanf(uri, "/%d/%d/%d", &size, &pieces, &length)
		a := &wire.Answer{Status: 200, Body: []byte(text[:size]), Fields: [][2]string{
			{"X-Pieces", fmt.Sprint(pieces)}, {"Content-Type", "text/html"}, {"Etag", `"a"`}, {"Vary", "Cookie"}}}
		if length > 0 {
			a.Fields = append(a.Fields, [2]string{"Content-Length", fmt.Sprint(size)})
		}
		return a
	})
	f := startFront(t, crew, Options{}, encodes)
	p := f.dial("")
	for _, size := range []int{0, 1000, 1024, 4 << 10, 65528, 100 << 10, 128<<10 + 1, 200 << 10, 1 << 20} {
		for _, pieces := range []int{1, 3, 100} {
			for _, length := range []int{0, 1} {
				for _, accept := range []string{"gzip", "gzip, zstd", "br"} {
					path := fmt.Sprintf("/%d/%d/%d", size, pieces, length)
					for way, request := range ways("GET", path, "Accept-Encoding: "+accept) {
						p.send(request)
						resp, body := p.whole("GET")
						h := resp.Header
						code := map[string]string{"gzip": "gzip", "gzip, zstd": "zstd"}[accept]
						small := size < 1024 && (length > 0 || way == "loop" && pieces == 1 || h.Get("Content-Encoding") == "")
						if small {
							code = ""
						}
						if resp.StatusCode != 200 || decoded(t, h, body) != text[:size] || h.Get("Content-Encoding") != code {
							t.Fatalf("%s: %s for %s: got %d %v, %d bytes", way, path, accept, resp.StatusCode, h, len(body))
						}
						want := map[bool][2]string{true: {`W/"a"`, "Cookie, Accept-Encoding"}, false: {`"a"`, "Cookie, Accept-Encoding"}}[code != ""]
						if small && h.Get("Vary") == "Cookie" {
							want[1] = "Cookie"
						}
						if h.Get("Etag") != want[0] || h.Get("Vary") != want[1] || code != "" && resp.ContentLength >= 0 && resp.ContentLength != int64(len(body)) {
							t.Errorf("%s: %s for %s: got %v", way, path, accept, h)
						}
						if e := <-f.entries; e.Bytes < int64(len(body)) || e.Bytes > int64(len(body))+5000 || e.Status != 200 || e.Worker != "site/1" || e.App <= 0 {
							t.Errorf("%s: %s: logged as %+v, has %d bytes", way, path, e, len(body))
						}
					}
				}
			}
		}
	}
	f.check()
}

// TestAnswer_HeadOfEncoded is the header that GET has.
func TestAnswer_HeadOfEncoded(t *testing.T) {
	t.Parallel()
	crew := newCrew(t, 1, func(_ *crewWorker, uri string) *wire.Answer {
		a := &wire.Answer{Status: 200, Body: []byte(distinct(5000)), Fields: [][2]string{{"Content-Type", "text/html"}, {"Etag", `"a"`}, {"Content-Length", "5000"}}}
		if uri == "/same" {
			a = &wire.Answer{Status: 304, Fields: [][2]string{{"Etag", `"a"`}}}
		}
		return a
	})
	f := startFront(t, crew, Options{}, encodes)
	p := f.dial("")
	for way, request := range ways("GET", "/", "Accept-Encoding: gzip") {
		p.send(request)
		resp, _ := p.whole("GET")
		p.send(strings.Replace(request, "GET", "HEAD", 1))
		head, _ := p.whole("HEAD")
		resp.Header.Del("Content-Length") // it is known only of what was encoded
		if !equalHeader(head.Header, resp.Header) || resp.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: got %v and %v", way, head.Header, resp.Header)
		}
	}
	for way, request := range ways("GET", "/same", "Accept-Encoding: gzip", `If-None-Match: W/"a"`) {
		p.send(request)
		if resp, _ := p.whole("GET"); resp.StatusCode != 304 || resp.Header.Get("Etag") != `W/"a"` || resp.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: got %d %v", way, resp.StatusCode, resp.Header)
		}
	}
	f.check()
}

// TestAnswer_EncodesWithHeaders: what a site sets and removes counts before an answer is
// compressed, so that Vary and Content-Type are what the client gets.
func TestAnswer_EncodesWithHeaders(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		headers    rules.Headers
		code, vary string
	}{
		"sets Vary":    {rules.Headers{Set: [][2]string{{"Vary", "Cookie"}}}, "gzip", "Cookie, Accept-Encoding"},
		"removes Vary": {rules.Headers{Remove: []string{"Vary"}}, "gzip", "Accept-Encoding"},
		"an image":     {rules.Headers{Set: [][2]string{{"Content-Type", "image/png"}}}, "", "Accept-Language"},
		"no-transform": {rules.Headers{Set: [][2]string{{"Cache-Control", "no-transform"}}}, "", "Accept-Language"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crew := newCrew(t, 1, func(*crewWorker, string) *wire.Answer {
				return &wire.Answer{Status: 200, Body: []byte(distinct(5000)), Fields: [][2]string{{"Content-Type", "text/html"}, {"Vary", "Accept-Language"}, {"Content-Length", "5000"}}}
			})
			f := startFront(t, crew, Options{}, encodes, func(s *site.Site) { s.Headers = &test.headers })
			p := f.dial("")
			for way, request := range ways("GET", "/", "Accept-Encoding: gzip") {
				p.send(request)
				resp, body := p.whole("GET")
				if h := resp.Header; h.Get("Content-Encoding") != test.code || strings.Join(h["Vary"], "; ") != test.vary || decoded(t, h, body) != distinct(5000) {
					t.Errorf("%s: got %v, want %q and %q", way, h, test.code, test.vary)
				}
			}
			f.check()
		})
	}
}

// TestAnswer_StreamsEncoded sends a piece only when the client has the one before.
func TestAnswer_StreamsEncoded(t *testing.T) {
	t.Parallel()
	for way, request := range ways("GET", "/", "Accept-Encoding: gzip") {
		for name, head := range map[string]string{"chunked": "Content-Type: text/html\n\n", "length": "Content-Type: text/html\nContent-Length: 10000\n\n"} {
			t.Run(way+" "+name, func(t *testing.T) {
				t.Parallel()
				says := make(chan string)
				crew := newScripted(t, 1, func(w *scripted) bool {
					_ = w.says(w.stdout(head))
					for text := range says {
						_ = w.says(w.stdout(text))
					}
					return w.says(w.end()) == nil
				})
				f := startFront(t, crew, Options{}, encodes)
				p := f.dial(request)
				resp, err := http.ReadResponse(p.br, nil)
				if err != nil || resp.Header.Get("Content-Encoding") != "gzip" {
					t.Fatal(err, resp.Header)
				}
				var z *gzip.Reader
				got := make([]byte, 1000)
				for i := range 10 {
					piece := strings.Repeat(fmt.Sprint(i), 1000)
					says <- piece
					if z == nil {
						if z, err = gzip.NewReader(resp.Body); err != nil {
							t.Fatal(err)
						}
					}
					if n, err := io.ReadFull(z, got); err != nil || string(got) != piece {
						t.Fatalf("got %.5q, %v, want %.5q", got[:n], err, piece)
					}
				}
				close(says)
				if n, err := z.Read(got); n > 0 || err != io.EOF {
					t.Errorf("got %q, %v, want the end", got[:n], err)
				}
				if n, err := io.Copy(io.Discard, resp.Body); n > 0 || err != nil {
					t.Errorf("behind the end: %d bytes, %v", n, err)
				}
				if e := <-f.entries; e.Status != 200 || e.Bytes == 0 {
					t.Errorf("logged as %+v", e)
				}
				f.check()
			})
		}
	}
}

// TestAnswer_EncodedIsNeverCutShort: the client never gets less than the length as if it were
// all.
func TestAnswer_EncodedIsNeverCutShort(t *testing.T) {
	t.Parallel()
	const head = "Content-Type: text/html\nContent-Length: "
	for name, pieces := range map[string][]string{
		"longer":          {head + "7000\n\n" + distinct(5000), distinct(5000)},
		"longer at once":  {head + "3000\n\n" + distinct(5000), "more"},
		"shorter":         {head + "20000\n\n" + distinct(5000), distinct(5000)},
		"shorter, at end": {head + "20000\n\n" + distinct(5000), ""},
		"dies":            {head + "20000\n\n" + distinct(5000), "dies"},
		"dies, chunked":   {"Content-Type: text/html\n\n" + distinct(5000), "dies"},
	} {
		for way, request := range ways("GET", "/", "Accept-Encoding: gzip") {
			for _, waits := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, waits %v", name, way, waits), func(t *testing.T) {
					t.Parallel()
					crew := newScripted(t, 2, func(w *scripted) bool {
						if waits {
							_ = w.says(w.stdout(pieces[0]))
							select {
							case <-time.After(time.Millisecond): // the first part arrives alone
							case <-t.Context().Done():
							}
							if pieces[1] == "dies" {
								return false
							}
							return w.says(w.stdout(pieces[1]), w.end()) == nil
						}
						if pieces[1] == "dies" {
							_ = w.says(w.stdout(pieces[0]))
							return false
						}
						return w.says(w.stdout(pieces[0]), w.stdout(pieces[1]), w.end()) == nil
					})
					f := startFront(t, crew, Options{}, encodes)
					p := f.dial(request)
					resp, err := http.ReadResponse(p.br, nil)
					if err == nil && resp.StatusCode == 200 {
						if body, err := io.ReadAll(resp.Body); err == nil {
							t.Errorf("got %v and %d bytes as a whole answer", resp.Header, len(body))
						}
					}
					<-f.entries
					f.check()
				})
			}
		}
	}
}

// TestAnswer_EncodedWholeHasItsLength: one that is here completely, and was announced as
// another.
func TestAnswer_EncodedWholeHasItsLength(t *testing.T) {
	t.Parallel()
	for _, length := range []int{4000, 6000} {
		crew := newCrew(t, 1, func(*crewWorker, string) *wire.Answer {
			return &wire.Answer{Status: 200, Body: []byte(distinct(5000)), Fields: [][2]string{{"Content-Type", "text/html"}, {"Content-Length", fmt.Sprint(length)}}}
		})
		f := startFront(t, crew, Options{}, encodes)
		for way, request := range ways("GET", "/", "Accept-Encoding: gzip") {
			resp, err := http.ReadResponse(f.dial(request).br, nil)
			if err != nil || resp.StatusCode != 200 {
				continue
			}
			if body, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("%s: %d of 5000: got %v and %d bytes as a whole answer", way, length, resp.Header, len(body))
			}
		}
		f.check()
	}
}
