package goapp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/wire"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const top = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	tests := []struct {
		name   string
		head   bool
		data   string
		status int // 0: not an answer
		body   string
		wait   bool // the rest has not arrived yet
	}{
		{name: "with a length", data: top + "Content-Length: 5\r\n\r\nhello", status: 200, body: "hello"},
		{name: "nothing yet", data: "HTTP/1.1 200", wait: true},
		{name: "half a body", data: top + "Content-Length: 5\r\n\r\nhel", wait: true},
		{name: "more than a body", data: top + "Content-Length: 5\r\n\r\nhello!"},
		{name: "in chunks", data: top + "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", status: 200, body: "hello"},
		{name: "half the chunks", data: top + "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", wait: true},
		{name: "half a chunk", data: top + "Transfer-Encoding: chunked\r\n\r\n3\r\nhe", wait: true},
		{name: "half a size", data: top + "Transfer-Encoding: chunked\r\n\r\n3", wait: true},
		{name: "an extension", data: top + "Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nhel\r\n0\r\n\r\n", status: 200, body: "hel"},
		{name: "no size", data: top + "Transfer-Encoding: chunked\r\n\r\nx\r\nhel\r\n0\r\n\r\n"},
		{name: "a negative size", data: top + "Transfer-Encoding: chunked\r\n\r\n-3\r\nhel\r\n0\r\n\r\n"},
		{name: "too long a size", data: top + "Transfer-Encoding: chunked\r\n\r\n0000000000000003\r\nhel\r\n0\r\n\r\n"},
		{name: "more than a chunk", data: top + "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n"},
		{name: "an endless size", data: top + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("0", maxSizeLine+1)},
		{name: "chunks and more", data: top + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n0\r\n\r\n"},
		{name: "with a trailer", data: top + "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\nA: b\r\n\r\n", status: 200, body: "hel"},
		{name: "both lengths", data: top + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"},
		{name: "two lengths", data: top + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"},
		{name: "no length", data: top + "\r\nhello"},
		{name: "HEAD", head: true, data: top + "Content-Length: 5\r\n\r\n", status: 200},
		{name: "no content", data: "HTTP/1.1 204 No Content\r\n\r\n", status: 204},
		{name: "not modified", data: "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", status: 304},
		{name: "the last one", data: top + "Connection: close\r\nContent-Length: 5\r\n\r\nhello"},
		{name: "early hints", data: "HTTP/1.1 103 Early Hints\r\n\r\n" + top + "Content-Length: 5\r\n\r\nhello"},
		{name: "HTTP/1.0", data: "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{name: "a bad header", data: "HTTP/1.1 200 OK\r\nCon tent: x\r\nContent-Length: 0\r\n\r\n"},
	}
	for _, test := range tests {
		a, err := parseAll([]byte(test.data), test.head)
		switch {
		case test.wait && (a != nil || err != nil):
			t.Errorf("%s: got %v, %v, want to wait", test.name, a, err)
		case !test.wait && test.status == 0 && !errors.Is(err, wire.ErrMustWait):
			t.Errorf("%s: got %v, %v, want %v", test.name, a, err, wire.ErrMustWait)
		case test.status > 0 && (err != nil || a == nil || a.Status != test.status || string(a.Body) != test.body):
			t.Errorf("%s: got %+v, %v", test.name, a, err)
		}
	}
}

// parseAll parses an answer that comes whole; nil: the rest has not arrived yet.
func parseAll(data []byte, head bool) (*wire.Answer, error) {
	s := &sent{head: head}
	p, err := s.takeHead(data)
	if err != nil || !p.End {
		return nil, err
	}
	p.Head.Body = bytes.Join(p.Body, nil)
	return p.Head, nil
}

// FuzzParse: an answer that comes whole is the one that net/http reads.
func FuzzParse(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello", false)
	f.Add("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", false)
	f.Add("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false)
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true)
	f.Add("HTTP/1.1 200 \n0\r\n\r\n", true)
	f.Add("HTTP/1.1 200 \r\nContent-Length:5\r\r\n\r\n00000", false)
	f.Fuzz(func(t *testing.T, data string, head bool) {
		a, err := parseAll([]byte(data), head)
		if a == nil || err != nil {
			return
		}
		method := map[bool]string{true: "HEAD", false: "GET"}[head]
		br := bufio.NewReader(strings.NewReader(data))
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("net/http: %v", err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != a.Status || !bytes.Equal(body, a.Body) || br.Buffered() > 0 {
			t.Errorf("got %d %q, net/http %d %q (%v), %d bytes left", a.Status, a.Body, resp.StatusCode, body, err, br.Buffered())
		}
	})
}

// watched counts what it watches.
type watched map[int]bool

func (w watched) Watch(fd int) error { w[fd] = true; return nil }
func (w watched) Unwatch(fd int)     { delete(w, fd) }

// socketWorker is a Worker whose process is this one.
func socketWorker(t *testing.T, handler http.HandlerFunc) *Worker {
	t.Helper()
	path := filepath.Join(t.TempDir(), "w.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	w := &Worker{path: path, transport: newTransport(path)}
	t.Cleanup(func() {
		w.idle.close()
		w.transport.CloseIdleConnections()
		server.Close()
		<-served
	})
	return w
}

func headOf(path string) *wire.Head {
	return &wire.Head{Method: "GET", URI: path, Host: "example.com", Scheme: "https", RemoteAddr: "192.0.2.1", Fields: [][2]string{{"A", "b"}}}
}

// receive reads the answer as the fast loop does.
func receive(t *testing.T, s wire.Sent) (*wire.Answer, error) {
	t.Helper()
	return receiveInto(t, s, wire.NewBuffer(64<<10))
}

func receiveInto(t *testing.T, s wire.Sent, buf *wire.Buffer) (a *wire.Answer, err error) {
	t.Helper()
	for {
		if !s.HasBuffered() {
			await(t, s)
		}
		p, err := s.Receive(buf)
		if p.Head != nil {
			a = p.Head
		}
		for _, piece := range p.Body {
			a.Body = append(a.Body, piece...)
		}
		if p.End || err != nil {
			return a, err
		}
	}
}

// await waits until there is something to read.
func await(t *testing.T, s wire.Sent) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(s.FD()), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 10_000); n != 1 && err != unix.EINTR {
		t.Fatalf("no answer: %d, %v", n, err)
	}
}

// TestSent_ForwardsTheVisitor: the worker learns the visitor's address, scheme and
// host, also in later requests on a connection.
func TestSent_ForwardsTheVisitor(t *testing.T) {
	t.Parallel()
	w := socketWorker(t, func(w http.ResponseWriter, r *http.Request) {
		said := slices.Concat([]string{r.RequestURI, r.Host, r.Header.Get("A")}, r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Proto"], r.Header["X-Forwarded-Host"])
		_, _ = io.WriteString(w, strings.Join(said, " "))
	})
	watch := watched{}
	for range 3 {
		h := headOf("/a?b")
		h.Fields = append(h.Fields, [2]string{"x-forwarded-for", "192.0.2.1:80"}, [2]string{"X-Forwarded-Proto", "HTTPS"}, [2]string{"X-Forwarded-Host", "a"}) // of a proxy before us
		a, err := receive(t, w.Send(h, watch))
		if want := "/a?b example.com b 192.0.2.1 https example.com"; err != nil || string(a.Body) != want {
			t.Fatalf("got %q, %v, want %q", a.Body, err, want)
		}
	}
	if len(watch) != 1 || len(w.idle.idle) != 1 {
		t.Errorf("%d connections are watched, %d idle, want one", len(watch), len(w.idle.idle))
	}
}

// TestSent_Streams: what comes is received, and what is still to come can be waited for.
// Nothing is left watched or idle then.
func TestSent_Streams(t *testing.T) {
	t.Parallel()
	goOn := make(chan struct{})
	w := socketWorker(t, func(w http.ResponseWriter, r *http.Request) {
		for _, text := range []string{"one ", "two ", "three"} {
			_, _ = io.WriteString(w, text)
			_ = http.NewResponseController(w).Flush()
			<-goOn
		}
	})
	for received := range 4 {
		watch := watched{}
		s := w.Send(headOf("/"), watch)
		var got []byte
		for range received {
			await(t, s)
			p, err := s.Receive(wire.NewBuffer(4096))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, bytes.Join(p.Body, nil)...)
			goOn <- struct{}{}
		}
		rest, err := io.ReadCloser(nil), error(nil)
		if received > 0 {
			rest, err = s.Rest(t.Context())
		} else {
			var resp *http.Response
			if resp, err = s.Await(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)); err == nil {
				rest = resp.Body
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		for range 3 - received {
			goOn <- struct{}{}
		}
		body, err := io.ReadAll(rest)
		if err := errors.Join(err, rest.Close()); err != nil || string(got)+string(body) != "one two three" {
			t.Errorf("got %q, then %q, %v", got, body, err)
		}
		if len(watch) > 0 || len(w.idle.idle) > 0 {
			t.Errorf("%d connections are watched, %d idle", len(watch), len(w.idle.idle))
		}
	}
}

// TestSent_EndsWithTheContext: the worker learns that nobody waits any more.
func TestSent_EndsWithTheContext(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	w := socketWorker(t, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(left)
	})
	s := w.Send(headOf("/"), watched{})
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Await(r); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	<-left
}

// TestSent_DeadConnections: dead connections are replaced. If nobody listens, the error
// says that nothing was sent.
func TestSent_DeadConnections(t *testing.T) {
	t.Parallel()
	w := socketWorker(t, func(w http.ResponseWriter, r *http.Request) {})
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fds[1])
	w.idle.put(wire.NewConn(fds[0]))
	watch := watched{}
	if a, err := receive(t, w.Send(headOf("/"), watch)); err != nil || a.Status != 200 {
		t.Errorf("got %v, %v", a, err)
	}
	if want := (watched{w.idle.idle[0].FD(): true}); !reflect.DeepEqual(watch, want) {
		t.Errorf("watched are %v, want %v", watch, want)
	}
	nobody := &Worker{path: filepath.Join(t.TempDir(), "absent")}
	s := nobody.Send(headOf("/"), watch)
	if _, err := s.Await(&http.Request{}); s.Outcome() != wire.AwaitOnly || !errors.Is(err, wire.ErrNotSent) {
		t.Errorf("got %v, %v, want %v", err, s.Outcome(), wire.ErrNotSent)
	}
}

// bodyEcho answers with the length that a request has announced, and its body.
func bodyEcho(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // an error shows in the answer
	text := fmt.Sprintf("%d %q %s", r.ContentLength, r.Header["Content-Length"], body)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = io.WriteString(w, text)
}

// TestSent_Body: a worker gets the same request in both ways.
func TestSent_Body(t *testing.T) {
	t.Parallel()
	w := socketWorker(t, bodyEcho)
	for _, size := range []int{0, 1, 4096, 100_000} {
		for _, method := range []string{"GET", "DELETE", "POST", "PUT", "PATCH"} {
			body := strings.Repeat("b", size)
			r, err := http.NewRequestWithContext(t.Context(), method, "http://example.com/", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.RequestURI = "/"
			resp, err := w.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			want, err := io.ReadAll(resp.Body)
			if err = errors.Join(err, resp.Body.Close()); err != nil {
				t.Fatal(err)
			}
			h := headOf("/")
			h.Method, h.Length, h.Body = method, int64(size), []byte(body)
			buf := wire.NewBuffer(256 << 10)
			s := w.Send(h, watched{})
			if s.Outcome() != wire.Written {
				t.Fatalf("%s, %d bytes: %v", method, size, s.Outcome())
			}
			got, err := receiveInto(t, s, buf)
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", method, size, err)
			}
			if string(got.Body) != string(want) {
				t.Errorf("%s, %d bytes: got %.50q, want %.50q", method, size, got.Body, want)
			}
		}
	}
}

// TestSent_DoesNotFit: Await sends what did not fit into the socket, also to a worker that
// answers before it has read all.
func TestSent_DoesNotFit(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0123456789", 10_000)
	for name, handler := range map[string]http.HandlerFunc{
		"reads first": func(w http.ResponseWriter, r *http.Request) {
			got, _ := io.ReadAll(r.Body)
			_, _ = w.Write(bytes.Repeat(got, 20))
		},
		"answers first": func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex() // cannot fail in HTTP/1.1
			_, _ = io.WriteString(w, strings.Repeat(body, 19))
			_, _ = io.Copy(w, r.Body)
		},
	} {
		w := socketWorker(t, handler)
		if a, err := receive(t, w.Send(&wire.Head{Method: "HEAD", URI: "/", Host: "example.com"}, watched{})); a == nil {
			t.Fatal(err) // makes the idle connection
		}
		_ = unix.SetsockoptInt(w.idle.idle[0].FD(), unix.SOL_SOCKET, unix.SO_SNDBUF, 4096)
		h := headOf("/")
		h.Method, h.Length, h.Body = "POST", int64(len(body)), []byte(body)
		s := w.Send(h, watched{})
		if s.Outcome() != wire.AwaitOnly {
			t.Fatalf("%s: got %v, want a part sent", name, s.Outcome())
		}
		resp, err := s.Await((&http.Request{Method: "POST"}).WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil || string(got) != strings.Repeat(body, 20) {
			t.Errorf("%s: got %d bytes (%v)", name, len(got), err)
		}
	}
}
