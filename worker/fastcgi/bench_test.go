package fastcgi

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkRoundTrip sends the request of a browser over a real unix socket to
// a worker that does nothing but find its end and write.
func BenchmarkRoundTrip(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		b.Run(strconv.Itoa(size>>10)+"KB", func(b *testing.B) {
			c := startWorker(b, Options{Params: map[string]string{"GATEWAY_INTERFACE": "CGI/1.1"}}, answerFast(size))
			r := newRequest(b, "GET", "/blog/2024/?page=2", "")
			r.Header = browserHeader()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			buf := make([]byte, 32<<10)
			for b.Loop() {
				resp, err := c.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.CopyBuffer(discard{}, resp.Body, buf)
				if err != nil || n != int64(size) {
					b.Fatalf("got %d bytes (%v), want %d", n, err, size)
				}
				resp.Body.Close()
			}
		})
	}
}

// BenchmarkPost sends a small form.
func BenchmarkPost(b *testing.B) {
	c := startWorker(b, Options{}, answerFast(1<<10))
	r := newRequest(b, "POST", "/admin/login/", "")
	r.Header = browserHeader()
	text := strings.Repeat("name=value&", 50)
	form := strings.NewReader(text)
	r.Body, r.ContentLength = io.NopCloser(form), form.Size()
	buf := make([]byte, 32<<10)
	b.ReportAllocs()
	for b.Loop() {
		form.Reset(text)
		resp, err := c.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.CopyBuffer(discard{}, resp.Body, buf)
		resp.Body.Close()
	}
}

func browserHeader() http.Header {
	return http.Header{
		"User-Agent":      {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
		"Accept":          {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		"Accept-Language": {"en-US,en;q=0.5"},
		"Accept-Encoding": {"gzip, deflate, br"},
		"Cookie":          {"sessionid=0123456789abcdef0123456789abcdef; csrftoken=0123456789abcdef0123456789abcdef"},
		"Referer":         {"http://example.com/blog/"},
	}
}

// answerFast answers each request with size bytes, in one write.
func answerFast(size int) func(*peer) {
	const head = "Status: 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nX-Frame-Options: DENY\r\n" +
		"Vary: Cookie\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin\r\n\r\n"
	return func(p *peer) {
		in := make([]byte, 64<<10)
		var ids []int // where the wire has the request's id
		var wire []byte
		for content := head + strings.Repeat("x", size); content != ""; {
			n := min(len(content), 65528)
			ids = append(ids, len(wire)+3)
			wire = append(wire, stdout(1, content[:n])...)
			content = content[n:]
		}
		ids = append(ids, len(wire)+3)
		wire = append(wire, end(1)...)
		for have := 0; ; {
			n, err := p.Read(in[have:])
			if err != nil {
				return
			}
			if have += n; !bytes.HasSuffix(in[:have], []byte{1, typeStdin, 0, in[3], 0, 0, 0, 0}) {
				continue
			}
			for _, i := range ids {
				wire[i] = in[3]
			}
			_, _ = p.Write(wire)
			have = 0
		}
	}
}

// discard has no ReadFrom: the body is read into the buffer of io.CopyBuffer.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
