package fastcgi

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// peer is the worker's end of one connection, driven by a test.
type peer struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
	n  int // 1 is the first connection that the worker accepted
}

// request is a request as the peer has read it.
type request struct {
	id     int
	params map[string]string
	stdin  string
}

// startWorker listens on a unix socket and runs script for each connection. The
// Client is for this socket; both are gone when the test ends.
func startWorker(t testing.TB, o Options, script func(*peer)) *Client {
	t.Helper()
	o.Socket = filepath.Join(t.TempDir(), "w.sock")
	l, err := net.Listen("unix", o.Socket)
	if err != nil {
		t.Fatal(err)
	}
	client := NewClient(o)
	var all sync.WaitGroup
	all.Go(func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p := &peer{Conn: c, t: t, br: bufio.NewReader(c), n: n}
			all.Go(func() { defer c.Close(); script(p) })
		}
	})
	t.Cleanup(func() {
		client.Close()
		l.Close()
		all.Wait()
	})
	return client
}

// record reads one record, by the specification alone.
func (p *peer) record() (typ byte, id int, content string, err error) {
	var h [8]byte
	if _, err := io.ReadFull(p.br, h[:]); err != nil {
		return 0, 0, "", err
	}
	if h[0] != 1 {
		return 0, 0, "", fmt.Errorf("version %d", h[0])
	}
	b := make([]byte, int(binary.BigEndian.Uint16(h[4:]))+int(h[6]))
	_, err = io.ReadFull(p.br, b)
	return h[1], int(binary.BigEndian.Uint16(h[2:])), string(b[:len(b)-int(h[6])]), err
}

// begin reads a request up to its body; ok is false if the client has closed the connection.
func (p *peer) begin() (r request, ok bool) {
	typ, id, content, err := p.record()
	if err != nil {
		return r, false
	}
	if typ != typeBeginRequest || id == 0 || content != "\x00\x01\x01\x00\x00\x00\x00\x00" {
		p.t.Errorf("got record type %d %q, want a responder's BEGIN_REQUEST that keeps the connection", typ, content)
		return r, false
	}
	params, ok := p.stream(typeParams, id)
	if !ok {
		return r, false
	}
	r = request{id: id}
	r.params, err = decodePairs(params)
	if err != nil {
		p.t.Error(err)
	}
	return r, err == nil
}

// request reads a whole request.
func (p *peer) request() (request, bool) {
	r, ok := p.begin()
	if ok {
		r.stdin, ok = p.stream(typeStdin, r.id)
	}
	return r, ok
}

// stream reads the records of one stream up to its end.
func (p *peer) stream(want byte, id int) (string, bool) {
	var all strings.Builder
	for {
		typ, got, content, err := p.record()
		if err != nil || typ != want || got != id {
			p.t.Errorf("got record type %d for request %d (%v), want type %d for %d", typ, got, err, want, id)
			return "", false
		}
		if content == "" {
			return all.String(), true
		}
		all.WriteString(content)
	}
}

// send writes parts at once; the client may be gone.
func (p *peer) send(parts ...string) {
	_, _ = io.WriteString(p, strings.Join(parts, ""))
}

// answerProbe reads FCGI_GET_VALUES and answers it.
func (p *peer) answerProbe() bool {
	typ, id, content, err := p.record()
	if err != nil || typ != typeGetValues || id != 0 || content != "\x0d\x00FCGI_MAX_REQS" {
		p.t.Errorf("got record type %d for request %d %q (%v), want FCGI_GET_VALUES", typ, id, content, err)
		return false
	}
	p.send(rec(typeGetValuesResult, 0, "\x0d\x01FCGI_MAX_REQS1", 3))
	return true
}

// welcome answers the greeting as our own worker does: value is "1" if it accepts
// followers.
func (p *peer) welcome(value string) {
	typ, _, content, err := p.record()
	if err != nil || typ != typeGetValues || content != string(appendPair(nil, followersName, "")) {
		p.t.Errorf("got record type %d %q (%v), want a greeting", typ, content, err)
	}
	p.send(rec(typeGetValuesResult, 0, string(appendPair(nil, followersName, value)), 0))
}

// waitGone waits until the client has closed the connection.
func (p *peer) waitGone() {
	if _, err := p.br.ReadByte(); err == nil {
		p.t.Error("the client sent more, want it to close the connection")
	}
}

// rec is one record on the wire.
func rec(typ byte, id int, content string, padding int) string {
	h := []byte{1, typ, byte(id >> 8), byte(id), byte(len(content) >> 8), byte(len(content)), byte(padding), 0}
	return string(h) + content + strings.Repeat("P", padding)
}

func stdout(id int, content string) string { return rec(typeStdout, id, content, 0) }

func end(id int) string { return rec(typeEndRequest, id, strings.Repeat("\x00", 8), 0) }

// answer is a complete answer on the wire, as FastCGI libraries send it.
func answer(id int, content string) string {
	return stdout(id, content) + stdout(id, "") + end(id)
}

var errTwice = errors.New("a variable was sent twice")

// decodePairs is a slow and simple decoder of name-value pairs.
func decodePairs(s string) (map[string]string, error) {
	pairs := map[string]string{}
	length := func() int {
		if s == "" {
			return 0
		}
		n := int(s[0])
		if n < 128 {
			s = s[1:]
			return n
		}
		if len(s) < 4 {
			return 1 << 31
		}
		n = int(binary.BigEndian.Uint32([]byte(s[:4])) &^ (1 << 31))
		s = s[4:]
		return n
	}
	for s != "" {
		name, value := length(), length()
		if name+value > len(s) {
			return nil, errors.New("a pair longer than its record")
		}
		if _, twice := pairs[s[:name]]; twice {
			return nil, fmt.Errorf("%w: %s", errTwice, s[:name])
		}
		pairs[s[:name]] = s[name : name+value]
		s = s[name+value:]
	}
	return pairs, nil
}

// newRequest returns a request as the front door has it. The deadline ends a test that fails.
func newRequest(t testing.TB, method, target, body string) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, "http://example.com"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.RequestURI, r.RemoteAddr = target, "192.0.2.1:1234"
	return r
}

// fetch sends a request and reads its answer to the end.
func fetch(c *Client, r *http.Request) (*http.Response, string, error) {
	resp, err := c.RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), errors.Join(err, resp.Body.Close())
}

// idle returns the number of idle connections.
func idle(c *Client) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.idle)
}
