package site

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"testing"
	"time"

	"github.com/multisite/multisite/worker/wire"
)

// request and answer are a request and its answer, as both sides of the front door have them.
type exchanged struct {
	name           string
	method, uri    string
	request        [][2]string
	status         int
	answer         [][2]string
	took           time.Duration
	body           int
	mount, counted string // "": it is not counted
}

func (x exchanged) inLoop() *wire.Answer {
	a := &wire.Answer{Status: x.status, Body: make([]byte, x.body)}
	for _, f := range x.answer {
		a.Fields = append(a.Fields, [2]string{textproto.CanonicalMIMEHeaderKey(f[0]), f[1]})
	}
	return a
}

func TestCountPage_WhatIsAPage(t *testing.T) {
	t.Parallel()
	html := [2]string{"Content-Type", "text/html; charset=utf-8"}
	page := func(name string, change func(*exchanged)) exchanged {
		x := exchanged{name: name, method: "GET", uri: "/a/", status: 200, answer: [][2]string{html}, took: time.Millisecond, body: 10}
		change(&x)
		return x
	}
	sets := func(fields ...[2]string) func(*exchanged) {
		return func(x *exchanged) { x.answer = append(x.answer, fields...) }
	}
	for _, x := range []exchanged{
		page("a page", func(x *exchanged) { x.counted = "/a/" }),
		page("an interface", func(x *exchanged) { x.answer, x.counted = [][2]string{{"Content-Type", "application/json"}}, "/a/" }),
		page("below a mount", func(x *exchanged) { x.mount, x.uri, x.counted = "/shop", "/shop/a/", "/a/" }),
		page("the mount itself", func(x *exchanged) { x.mount, x.uri = "/shop", "/shop" }),
		page("other headers", func(x *exchanged) {
			x.request, x.counted = [][2]string{{"Accept", "*/*"}, {"user-agent", "x"}, {"Referer", "/"}}, "/a/"
		}),
		page("it may be kept", func(x *exchanged) { sets([2]string{"Cache-Control", "public, max-age=60"})(x); x.counted = "/a/" }),
		page("a form", func(x *exchanged) {
			sets([2]string{"Set-Cookie", "csrftoken=abc; Path=/"}, [2]string{"Cache-Control", "max-age=0, no-store, private"})(x)
			x.counted = "/a/"
		}),
		page("HEAD", func(x *exchanged) { x.method = "HEAD" }),
		page("POST", func(x *exchanged) { x.method = "POST" }),
		page("a query", func(x *exchanged) { x.uri = "/a/?b=c" }),
		page("an empty query", func(x *exchanged) { x.uri = "/a/?" }),
		page("an escaped path", func(x *exchanged) { x.uri = "/%61/" }),
		page("a cookie", func(x *exchanged) { x.request = [][2]string{{"cookie", "a=b"}} }),
		page("a password", func(x *exchanged) { x.request = [][2]string{{"Authorization", "Basic x"}} }),
		page("a redirect", func(x *exchanged) { x.status = 302 }),
		page("not found", func(x *exchanged) { x.status = 404 }),
		page("a session", sets([2]string{"Set-Cookie", "sessionid=x; Path=/"})),
		page("a session and a token", sets([2]string{"Set-Cookie", "csrftoken=x"}, [2]string{"Set-Cookie", "sessionid=x"})),
		page("a token as the value", sets([2]string{"Set-Cookie", "a=csrftoken"})),
		page("not to be kept", sets([2]string{"Cache-Control", "No-Store"})),
		page("private", sets([2]string{"cache-control", "max-age=3, private"})),
		page("an image", func(x *exchanged) { x.answer = [][2]string{{"Content-Type", "image/png"}} }),
		page("of no type", func(x *exchanged) { x.answer = nil }),
		page("slow", func(x *exchanged) { x.took = 2 * time.Second }),
		page("a download", func(x *exchanged) { x.body = 2 << 20 }),
	} {
		var loop, other Asked
		path, query := x.uri, ""
		for i := range x.uri {
			if x.uri[i] == '?' {
				path, query = x.uri[:i], x.uri[i+1:]
				break
			}
		}
		head := &wire.Head{Method: x.method, URI: x.uri, Path: path, Query: query, Fields: x.request}
		if len(path) > 0 && path != "/%61/" { // the loop leaves that to net/http
			(&Site{Asked: &loop, Mount: x.mount}).CountPage(head, x.inLoop(), x.took, int64(x.body))
		}
		r := httptest.NewRequest(x.method, x.uri, nil)
		for _, f := range x.request {
			r.Header.Add(f[0], f[1])
		}
		h := http.Header{}
		for _, f := range x.answer {
			h.Add(f[0], f[1])
		}
		(&Site{Asked: &other, Mount: x.mount}).CountPageOf(r, x.status, h, x.took, int64(x.body))
		want := "[]"
		if x.counted != "" {
			want = fmt.Sprintf("[{%s 1}]", x.counted)
		}
		if a, b := fmt.Sprint(loop.Pages()), fmt.Sprint(other.Pages()); a != want || b != want {
			t.Errorf("%s: the loop counted %s, net/http %s, want %s", x.name, a, b, want)
		}
	}
}

// BenchmarkCountPage is what counting costs a request of the loop.
func BenchmarkCountPage(b *testing.B) {
	head := &wire.Head{Method: "GET", URI: "/hello/", Path: "/hello/", Fields: [][2]string{
		{"User-Agent", "Mozilla/5.0"}, {"Accept", "text/html"}, {"Accept-Language", "en"}, {"Accept-Encoding", "gzip"}, {"Referer", "http://a/"}}}
	answer := &wire.Answer{Status: 200, Fields: [][2]string{
		{"Content-Type", "text/html; charset=utf-8"}, {"X-Frame-Options", "DENY"}, {"Content-Length", "40"}, {"Vary", "Cookie"},
		{"X-Content-Type-Options", "nosniff"}, {"Referrer-Policy", "same-origin"}, {"Cross-Origin-Opener-Policy", "same-origin"}}}
	full := &Asked{}
	for i := range maxAsked {
		for range 10 {
			full.Count(fmt.Sprint("/", i))
		}
	}
	full.Count("/hello/")
	cold := &wire.Head{Method: "GET", URI: "/none/", Path: "/none/"}
	for _, c := range []struct {
		name string
		head *wire.Head
	}{{"known", head}, {"unknown", cold}} {
		s := &Site{Asked: full}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.CountPage(c.head, answer, time.Millisecond, int64(len(answer.Body)))
			}
		})
	}
}
