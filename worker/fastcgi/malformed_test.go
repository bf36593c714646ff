package fastcgi

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// malformedAnswers returns answers that the first request on a connection must not get.
func malformedAnswers() map[string]string {
	const head = "Content-Type: text/plain\n\n"
	stderr := rec(typeStderr, 1, "note", 0)
	return map[string]string{
		"version":                      "\x02" + stdout(1, head)[1:],
		"HTTP":                         "HTTP/1.1 200 OK\r\n\r\n",
		"request 0":                    stdout(0, head),
		"another request":              stdout(2, head),
		"request 257":                  stdout(257, head),
		"type of the front door":       rec(typeStdin, 1, head, 0),
		"type 0":                       rec(0, 1, head, 0),
		"unknown type":                 rec(11, 1, "12345678", 0),
		"management record":            rec(typeGetValuesResult, 0, "\x01\x01ab", 0),
		"management type for request":  rec(typeGetValuesResult, 1, "", 0),
		"end at once":                  end(1),
		"end within the header":        stdout(1, "Content-Type: text/plain\n") + end(1),
		"end of another request":       stdout(1, head) + end(2),
		"short END_REQUEST":            stdout(1, head) + rec(typeEndRequest, 1, strings.Repeat("\x00", 7), 0),
		"long END_REQUEST":             stdout(1, head) + rec(typeEndRequest, 1, strings.Repeat("\x00", 9), 0),
		"empty END_REQUEST":            stdout(1, head) + rec(typeEndRequest, 1, "", 8),
		"overloaded":                   rec(typeEndRequest, 1, "\x00\x00\x00\x00\x02\x00\x00\x00", 0),
		"unknown role after header":    stdout(1, head) + rec(typeEndRequest, 1, "\x00\x00\x00\x00\x03\x00\x00\x00", 0),
		"bytes after END_REQUEST":      answer(1, head) + "x",
		"record after END_REQUEST":     answer(1, head) + stdout(1, ""),
		"second END_REQUEST":           answer(1, head) + end(1),
		"wrong record in the body":     stdout(1, head+"hello") + stdout(3, "hello") + end(1),
		"wrong version in the body":    stdout(1, head+"hello") + "\x00" + end(1)[1:],
		"wrong type in the body":       stdout(1, head+"hello") + rec(typeParams, 1, "hello", 0) + end(1),
		"wrong record after STDERR":    stderr + rec(typeStdin, 1, "", 0),
		"a header larger than allowed": strings.Repeat(stdout(1, "X-Long: "+strings.Repeat("v", 50000)+"\n"), 6),
		"a line larger than allowed":   strings.Repeat(stdout(1, strings.Repeat("v", 50000)), 6),
		"no colon":                     answer(1, "Content-Type: text/plain\nhello\n\n"),
		"text before the header":       answer(1, "debug output\nContent-Type: text/plain\n\n"),
		"HTTP status line":             answer(1, "HTTP/1.1 200 OK\nContent-Type: text/plain\n\n"),
		"no name":                      answer(1, ": text/plain\n\n"),
		"space in a name":              answer(1, "Content Type: text/plain\n\n"),
		"space before the colon":       answer(1, "Content-Type : text/plain\n\n"),
		"continued line":               answer(1, "X-Folded: a\n b\n\n"),
		"NUL in a value":               answer(1, "X-Name: a\x00b\n\n"),
		"CR in a value":                answer(1, "X-Name: a\rSet-Cookie: b\n\n"),
		"CR before CRLF":               answer(1, "X-Name: a\r\r\n\n"),
		"escape in a value":            answer(1, "X-Name: \x1b[2J\n\n"),
		"DEL in a value":               answer(1, "X-Name: \x7f\n\n"),
		"control character in status":  answer(1, "Status: 200 O\x08K\n\n"),
		"latin-1 in a name":            answer(1, "X-Andr\xe9: a\n\n"),
		"status of text":               answer(1, "Status: fine\n\n"),
		"status of two digits":         answer(1, "Status: 99\n\n"),
		"status of four digits":        answer(1, "Status: 2000\n\n"),
		"signed status":                answer(1, "Status: +20\n\n"),
		"empty status":                 answer(1, "Status:\n\n"),
		"interim status":               answer(1, "Status: 100 Continue\n\n"),
		"status without a code":        answer(1, "Status:  OK\n\n"),
	}
}

func TestRoundTrip_RefusesMalformedAnswers(t *testing.T) {
	t.Parallel()
	for name, wire := range malformedAnswers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startWorker(t, Options{}, func(p *peer) {
				if p.n > 1 {
					answerAll(p)
					return
				}
				if _, ok := p.request(); ok {
					p.send(wire)
				}
				p.waitGone()
			})
			_, _, err := fetch(c, newRequest(t, "GET", "/", ""))
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("got error %v, want %v", err, ErrMalformed)
			}
			if n := idle(c); n != 0 {
				t.Errorf("got %d idle connections afterwards, want none", n)
			}
			resp, body, err := fetch(c, newRequest(t, "GET", "/next", ""))
			if err != nil || resp.Header.Get("Connection-Number") != "2" || body != "/next" {
				t.Errorf("got %+v %q (%v), want the next request's own answer from a new connection", resp, body, err)
			}
		})
	}
}

// TestRoundTrip_RefusesMalformedAnswersInPieces cuts each answer at every byte. The error
// may come late, but it comes, and the connection is not used again.
func TestRoundTrip_RefusesMalformedAnswersInPieces(t *testing.T) {
	t.Parallel()
	for name, wire := range malformedAnswers() {
		if strings.HasSuffix(name, "END_REQUEST") && strings.HasPrefix(wire, answer(1, "Content-Type: text/plain\n\n")) {
			continue // what comes later is for the next request to refuse
		}
		step := 1
		if len(wire) > 4000 {
			step = len(wire) / 20
		}
		for i := 1; i < len(wire); i += step {
			nc := &scripted{pieces: []string{wire[:i], wire[i:]}}
			c := NewClient(Options{Socket: "absent"})
			c.put(newConn(c, nc))
			if _, _, err := fetch(c, newRequest(t, "GET", "/", "")); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s, cut at %d: got error %v, want %v", name, i, err, ErrMalformed)
			}
			if !nc.closed || idle(c) > 0 {
				t.Fatalf("%s, cut at %d: the connection is open, want it closed", name, i)
			}
		}
	}
}

// TestRoundTrip_RefusesLateAnswer sends more of an answer after its request has ended: it
// must not reach the next request.
func TestRoundTrip_RefusesLateAnswer(t *testing.T) {
	t.Parallel()
	c := startWorker(t, Options{}, func(p *peer) {
		first, _ := p.request()
		p.send(answer(first.id, "\nfirst"))
		_, _ = p.request()
		p.send(answer(first.id, "\nlate"))
		p.waitGone()
	})
	if _, body, err := fetch(c, newRequest(t, "GET", "/", "")); err != nil || body != "first" {
		t.Fatalf("got %q (%v), want the first answer", body, err)
	}
	if _, body, err := fetch(c, newRequest(t, "GET", "/", "")); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %q (%v), want %v", body, err, ErrMalformed)
	}
}

// TestRoundTrip_WorkerDies covers answers that end early and are not malformed.
func TestRoundTrip_WorkerDies(t *testing.T) {
	t.Parallel()
	whole := rec(typeStderr, 1, "note", 1) + rec(typeStdout, 1, "Content-Type: text/plain\r\n\r\nhel", 5) + answer(1, "lo")
	for i := range len(whole) {
		nc := &scripted{pieces: []string{whole[:i]}}
		c := NewClient(Options{})
		c.put(newConn(c, nc))
		_, body, err := fetch(c, newRequest(t, "GET", "/", ""))
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("gone after %d bytes: got %q (%v), want %v", i, body, err, io.ErrUnexpectedEOF)
		}
		if !nc.closed || idle(c) > 0 {
			t.Errorf("gone after %d bytes: the connection is open, want it closed", i)
		}
	}
}

// answerAll answers every request of a connection with its path.
func answerAll(p *peer) {
	for {
		r, ok := p.request()
		if !ok {
			return
		}
		p.send(answer(r.id, "Connection-Number: "+string(rune('0'+p.n))+"\n\n"+r.params["REQUEST_URI"]))
	}
}
