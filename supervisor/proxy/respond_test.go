package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// plainAnswers are answers as workers give them, but for those with a length.
func plainAnswers() []wire.Answer {
	text := [2]string{"Content-Type", "text/plain"}
	answers := []wire.Answer{
		{Status: 200, Fields: [][2]string{text}, Body: []byte("hello")},
		{Status: 200, Body: []byte("<html>no type")},
		{Status: 200},
		{Status: 200, Reason: "OK", Fields: [][2]string{text}, Body: []byte("hello")},
		{Status: 404, Reason: "Nothing Here, Andr\xe9", Fields: [][2]string{text}, Body: []byte("hello")},
		{Status: 299, Reason: "Odd", Fields: [][2]string{text}, Body: []byte(strings.Repeat("x", 9000))},
		{Status: 204, Reason: "No Words"},
		{Status: 200, Fields: [][2]string{text, {"Date", "Thu, 01 Jan 1970 00:00:00 GMT"}, {"Server", "me"}}, Body: []byte("a")},
		{Status: 200, Fields: [][2]string{{"Set-Cookie", "a=1"}, {"X-A", ""}, {"Set-Cookie", "b=2"}, {"X-Name", "Andr\xe9\tb"}}, Body: []byte("a")},
		{Status: 302, Fields: [][2]string{{"Location", "/there"}}},
		{Status: 200, Fields: [][2]string{{"Content-Encoding", "gzip"}, {"Etag", `"a"`}}, Body: []byte{0x1f, 0x8b, 0, '\r', '\n', '\r', '\n'}},
		{Status: 200, Fields: [][2]string{text}, Body: []byte(strings.Repeat("x", 2000))},
		{Status: 200, Fields: [][2]string{text}, Body: []byte(strings.Repeat("x", 50000))},
		{Status: 204, Fields: [][2]string{text, {"Content-Length", "5"}, {"X-A", "a"}}},
		{Status: 304, Fields: [][2]string{text, {"Content-Length", "5"}, {"Etag", `"a"`}}},
	}
	for _, status := range []int{201, 203, 205, 206, 207, 299, 300, 303, 400, 404, 418, 499, 500, 503, 599, 999} {
		answers = append(answers, wire.Answer{Status: status, Fields: [][2]string{text}, Body: []byte("hello")})
	}
	return answers
}

// withLengths adds what HEAD gets, and Content-Length in forms that are right.
func withLengths() (answers []wire.Answer) {
	for _, a := range plainAnswers() {
		length := strconv.Itoa(len(a.Body))
		head := a
		head.Body = nil
		answers = append(answers, head)
		if len(a.Body) < 2048 { // net/http sends a larger one without a length in chunks
			answers = append(answers, a)
		}
		if a.Status == 204 || a.Status == 304 {
			continue
		}
		for _, text := range []string{length, "00" + length} {
			sized := a
			sized.Fields = append(slices.Clip(a.Fields), [2]string{"Content-Length", text})
			headSized := sized
			headSized.Body = nil
			answers = append(answers, sized, headSized)
		}
	}
	return answers
}

// TestAppendAnswer_SameAsNetHTTP sends the same answers both ways.
func TestAppendAnswer_SameAsNetHTTP(t *testing.T) {
	t.Parallel()
	answers := withLengths()
	d := func(_ *crewWorker, uri string) *wire.Answer {
		if i, err := strconv.Atoi(strings.TrimPrefix(uri, "/")); err == nil {
			return &answers[i]
		}
		return echo(nil, uri)
	}
	loop := startFront(t, newCrew(t, 1, d), Options{})
	other := startFront(t, newCrew(t, 1, d), Options{}, func(s *site.Site) { s.Fast = nil })
	quick := 0
	for i, a := range answers {
		for _, method := range []string{"GET", "HEAD"} {
			for _, header := range []string{"", "Connection: close\r\n"} {
				if !isPlain(&a, method == "HEAD") {
					continue
				}
				quick++
				request := fmt.Sprintf("%s /%d HTTP/1.1\r\nHost: site.test\r\n%s\r\n", method, i, header)
				got, want := loop.record(request, method), other.record(request, method)
				if got != want {
					t.Errorf("%s of %d %q:\ngot  %.500q\nwant %.500q", method, a.Status, a.Fields, got, want)
				}
			}
		}
	}
	if _, claimed, _ := loop.crew.counts(); claimed > quick/10 || quick < 100 {
		t.Errorf("the loop left %d of %d answers to net/http", claimed, quick)
	}
}

// record returns an answer, without what differs for good reasons, and whether the
// connection goes on.
func (f *front) record(request, method string) string {
	f.tb.Helper()
	p := f.dial(request)
	line, err := p.br.ReadString('\n')
	if err != nil {
		f.tb.Fatal(err)
	}
	var fields []string
	raw := line
	for {
		field, err := p.br.ReadString('\n')
		if err != nil {
			f.tb.Fatal(err)
		}
		raw += field
		if field == "\r\n" {
			break
		}
		if date, ok := strings.CutPrefix(field, "Date: "); ok && !strings.Contains(date, "1970") {
			if at, err := http.ParseTime(strings.TrimSpace(date)); err != nil || time.Since(at) > time.Minute {
				f.tb.Errorf("got date %q (%v)", date, err)
			}
			field = "Date: now"
		}
		if id, ok := strings.CutPrefix(field, "X-Request-Id: "); ok {
			field = "X-Request-Id: " + maskID(strings.TrimSpace(id))
		}
		fields = append(fields, field)
	}
	slices.Sort(fields)
	resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(strings.NewReader(raw), p.br)), &http.Request{Method: method})
	if err != nil {
		f.tb.Fatal(err)
	}
	body := make([]byte, max(0, resp.ContentLength))
	if method == "HEAD" || resp.StatusCode == 204 || resp.StatusCode == 304 {
		body = nil
	}
	if _, err := io.ReadFull(resp.Body, body); err != nil {
		f.tb.Fatal(err)
	}
	return fmt.Sprintf("%s%q %q, %s", line, fields, body, f.after(resp, p))
}

// after tells what comes behind an answer: the next one, or the end.
func (f *front) after(resp *http.Response, p *peer) string {
	if resp.Close {
		rest, _ := io.ReadAll(p.br) // a reset is an end, too
		return fmt.Sprintf("then the end, after %q", rest)
	}
	p.send(get("/next"))
	next, body := p.whole("GET")
	return fmt.Sprintf("then %d %s", next.StatusCode, body)
}
