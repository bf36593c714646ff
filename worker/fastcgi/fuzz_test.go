package fastcgi

import (
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzAnswer sends the fuzzer's bytes as a worker's answer, in pieces of size bytes, and
// compares the result with that of a reader that has all bytes at once.
func FuzzAnswer(f *testing.F) {
	for _, test := range answerTests() {
		if len(test.wire) < 4000 {
			f.Add(test.wire, 4096)
			f.Add(test.wire, 3)
		}
	}
	for _, wire := range malformedAnswers() {
		if len(wire) < 4000 {
			f.Add(wire, 4096)
		}
	}
	f.Fuzz(func(t *testing.T, wire string, size int) {
		if size < 1 || len(wire) > 8<<10 {
			t.Skip()
		}
		nc := &scripted{}
		for rest := wire; rest != ""; {
			n := min(len(rest), size)
			nc.pieces = append(nc.pieces, rest[:n])
			rest = rest[n:]
		}
		c := NewClient(Options{})
		c.put(newConn(c, nc))
		want := reference(wire)
		resp, err := c.RoundTrip(&http.Request{Method: "GET", URL: httptest.NewRequest("GET", "/", nil).URL})
		body := ""
		if err == nil {
			body = readAll(t, resp.Body, &err)
		}
		want.check(t, body, err)
		if clean := err == nil; clean == nc.closed || clean != (idle(c) == 1) {
			t.Errorf("error %v: closed %v, %d idle connections", err, nc.closed, idle(c))
		}
	})
}

// readAll reads and closes body as the front door does.
func readAll(t *testing.T, body io.ReadCloser, err *error) string {
	all, readErr := io.ReadAll(body)
	*err = readErr
	if closeErr := body.Close(); closeErr != readErr {
		t.Errorf("got %v of Close after %v of Read", closeErr, readErr)
	}
	return string(all)
}

// verdict is the result of the reference for an answer.
type verdict struct {
	err  error
	body string // as far as it came
	more bool   // there are bytes after END_REQUEST
}

func (v verdict) check(t *testing.T, body string, err error) {
	t.Helper()
	switch {
	case v.more && errors.Is(err, ErrMalformed): // the bytes were there already
	case !errors.Is(err, v.err):
		t.Errorf("got error %v, want %v", err, v.err)
	case v.err == nil && body != v.body, !strings.HasPrefix(v.body, body):
		t.Errorf("got body %q, want %q", body, v.body)
	}
}

// reference is a slow and simple reader of an answer to request 1.
func reference(wire string) verdict {
	out := ""
	for {
		body, done, bad := splitHead(out)
		if bad {
			return verdict{err: ErrMalformed}
		}
		if len(wire) < 8 {
			return verdict{err: io.ErrUnexpectedEOF, body: body}
		}
		typ, id := wire[1], binary.BigEndian.Uint16([]byte(wire[2:]))
		length, padding := int(binary.BigEndian.Uint16([]byte(wire[4:]))), int(wire[6])
		known := typ == typeStdout || typ == typeStderr || typ == typeEndRequest && length == 8
		late := typ == typeGetValuesResult && id == 0 && length == 0
		if wire[0] != 1 || (!known || id != 1) && !late {
			return verdict{err: ErrMalformed, body: body}
		}
		content := wire[8:min(8+length, len(wire))]
		if typ == typeStdout {
			out += content
			if body, _, bad = splitHead(out); bad {
				return verdict{err: ErrMalformed}
			}
		}
		if len(wire) < 8+length+padding {
			return verdict{err: io.ErrUnexpectedEOF, body: body}
		}
		wire = wire[8+length+padding:]
		if typ == typeEndRequest {
			if content[4] != 0 || !done {
				return verdict{err: ErrMalformed, body: body}
			}
			return verdict{body: body, more: wire != ""}
		}
	}
}

// splitHead returns what follows the header in out, and reports whether the header is
// complete and whether it is malformed.
func splitHead(out string) (body string, done, bad bool) {
	for {
		line, rest, ok := strings.Cut(out, "\n")
		if !ok {
			return "", false, false
		}
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			return rest, true, bad
		}
		bad = bad || badLine(line)
		out = rest
	}
}

func badLine(line string) bool {
	name, value, ok := strings.Cut(line, ":")
	value = strings.Trim(value, " \t")
	if !ok || name == "" || strings.ContainsFunc(name, func(c rune) bool {
		return c <= ' ' || c >= 127 || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	}) {
		return true
	}
	for i := range len(value) {
		if value[i] < ' ' && value[i] != '\t' || value[i] == 127 {
			return true
		}
	}
	if !strings.EqualFold(name, "Status") {
		return false
	}
	code, _, _ := strings.Cut(value, " ")
	return len(code) != 3 || code[0] < '2' || code[0] > '9' || strings.Trim(code, "0123456789") != ""
}

// FuzzParams compares the environ of any path, host and header with a simple
// decoder.
func FuzzParams(f *testing.F) {
	f.Add("/a%2Fb", "example.com:80", "X-Name", "value", "/a")
	f.Add("*", "[::1]", "Cookie", strings.Repeat("v", 200), "")
	f.Add("", ":", "Proxy", "", "")
	f.Fuzz(func(t *testing.T, path, host, name, value, script string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path, r.RequestURI, r.Host = path, path, host
		r.Header, r.ContentLength = http.Header{name: {value, value}}, 5
		params, err := decodePairs(string(appendParams(nil, headOf(r), script)))
		if errors.Is(err, errTwice) {
			t.Skip(err) // a name with an underscore; the front door drops it
		}
		if err != nil {
			t.Fatal(err)
		}
		if params["REQUEST_URI"] != path || params["SCRIPT_NAME"] != script || params["CONTENT_LENGTH"] != "5" {
			t.Errorf("got %q, want URI %q, script %q", params, path, script)
		}
		if params["SERVER_PORT"] == "" || params["HTTP_HOST"] != host {
			t.Errorf("got port %q, host %q", params["SERVER_PORT"], params["HTTP_HOST"])
		}
		if _, ok := params["HTTP_PROXY"]; ok && name == "Proxy" {
			t.Error("HTTP_PROXY was sent")
		}
	})
}
