package fastcgi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const big = 5 << 20

// TestRoundTrip_BigBodies has both sockets full at once, in the orders in which
// an application may read and answer.
func TestRoundTrip_BigBodies(t *testing.T) {
	t.Parallel()
	in, out := randomText(big), randomText(big)
	stream := func(p *peer, id int) {
		p.send(stdout(id, "\n"))
		for rest := out; rest != ""; {
			n := min(len(rest), 60000)
			p.send(stdout(id, rest[:n]))
			rest = rest[n:]
		}
	}
	tests := []struct {
		name string
		work func(p *peer, id int) (stdin string)
	}{
		{"reads, then answers", func(p *peer, id int) string {
			stdin, _ := p.stream(typeStdin, id)
			stream(p, id)
			p.send(end(id))
			return stdin
		}},
		{"answers, then reads", func(p *peer, id int) string {
			stream(p, id)
			stdin, _ := p.stream(typeStdin, id)
			p.send(end(id))
			return stdin
		}},
		{"ends, then drains", func(p *peer, id int) string {
			stream(p, id)
			p.send(end(id))
			stdin, _ := p.stream(typeStdin, id)
			return stdin
		}},
		{"does both at once", func(p *peer, id int) (stdin string) {
			var reading sync.WaitGroup
			reading.Go(func() { stdin, _ = p.stream(typeStdin, id) })
			stream(p, id)
			reading.Wait()
			p.send(end(id))
			return stdin
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := make(chan string, 2)
			c := startWorker(t, Options{}, func(p *peer) {
				for {
					r, ok := p.begin()
					if !ok {
						return
					}
					got <- test.work(p, r.id)
				}
			})
			for range 2 {
				_, body, err := fetch(c, newRequest(t, "POST", "/", in))
				if err != nil || body != out {
					t.Fatalf("got %d bytes (%v), want the answer of %d bytes", len(body), err, len(out))
				}
				if stdin := <-got; stdin != in {
					t.Errorf("the worker read %d bytes, want the request's %d", len(stdin), len(in))
				}
			}
			if n := idle(c); n != 1 {
				t.Errorf("got %d idle connections, want 1", n)
			}
		})
	}
}

// TestRoundTrip_SendsBodies covers the sizes around the first write and of an
// unknown length.
func TestRoundTrip_SendsBodies(t *testing.T) {
	t.Parallel()
	stdin := make(chan string, 1)
	c := startWorker(t, Options{}, func(p *peer) {
		for {
			r, ok := p.request()
			if !ok {
				return
			}
			stdin <- r.stdin
			p.send(answer(r.id, "\n"+r.params["CONTENT_LENGTH"]))
		}
	})
	for _, size := range []int{0, 1, 60000, 64000, 65000, 65528, 65536, 65537, 1 << 20} {
		for _, chunked := range []bool{false, true} {
			want := randomText(size)
			r, length := newRequest(t, "POST", "/", want), ""
			if chunked {
				r.ContentLength, r.Body = -1, io.NopCloser(strings.NewReader(want))
			}
			if !chunked && size > 0 {
				length = strconv.Itoa(size)
			}
			_, body, err := fetch(c, r)
			if err != nil || body != length {
				t.Errorf("%d bytes, chunked %v: got CONTENT_LENGTH %q (%v), want %q", size, chunked, body, err, length)
			}
			if got := <-stdin; got != want {
				t.Errorf("%d bytes, chunked %v: the worker read %d", size, chunked, len(got))
			}
		}
	}
}

func TestRoundTrip_Deadline(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body, wire string
		want             error
	}{
		{"before the header", "", "", context.DeadlineExceeded},
		{"within the header", "", stdout(1, "Content-Type: "), context.DeadlineExceeded},
		{"within a record", "", stdout(1, "Content-Type: text/plain\n\nhello")[:30], context.DeadlineExceeded},
		{"within the body", "", stdout(1, "\nhello"), context.DeadlineExceeded},
		{"before the end", "", stdout(1, "\nhello") + stdout(1, ""), context.DeadlineExceeded},
		{"while the body is sent", randomText(big), "", context.DeadlineExceeded},
		{"while the body is sent, after the answer", randomText(big), answer(1, "\nhello"), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			limit := 50 * time.Millisecond
			err := overrun(t, limit, test.body, test.wire)
			for err != nil && test.want == nil && limit < time.Minute { // the answer was not in time
				limit *= 4
				err = overrun(t, limit, test.body, test.wire)
			}
			if !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
		})
	}
}

// overrun sends a request to a worker that sends wire and nothing else, and reads little.
func overrun(t *testing.T, limit time.Duration, body, wire string) error {
	t.Helper()
	c := startWorker(t, Options{}, func(p *peer) {
		_, _ = p.begin()
		p.send(wire)
		_, _ = io.Copy(io.Discard, io.LimitReader(p.br, 100)) // the rest stays in the socket
		<-t.Context().Done()
	})
	r := newRequest(t, "POST", "/", body)
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	_, _, err := fetch(c, r.WithContext(ctx))
	if n := idle(c); n != 0 {
		t.Errorf("got %d idle connections, want none", n)
	}
	return err
}

// TestRoundTrip_ClientDisconnects cancels the request: the work goes on.
func TestRoundTrip_ClientDisconnects(t *testing.T) {
	t.Parallel()
	begun, left := make(chan struct{}), make(chan struct{})
	c := startWorker(t, Options{}, func(p *peer) {
		r, _ := p.request()
		close(begun)
		<-left
		p.send(answer(r.id, "\nhello"))
		p.waitGone()
	})
	r := newRequest(t, "GET", "/", "")
	ctx, cancel := context.WithCancel(r.Context())
	go func() {
		<-begun
		cancel()
		close(left)
	}()
	if _, body, err := fetch(c, r.WithContext(ctx)); err != nil || body != "hello" {
		t.Errorf("got %q (%v), want the answer in spite of the client", body, err)
	}
	if n := idle(c); n != 1 {
		t.Errorf("got %d idle connections, want 1", n)
	}
}

// TestRoundTrip_GivesRequestBodyBack lets the worker die, or the caller give up,
// while the request's body is read.
func TestRoundTrip_GivesRequestBodyBack(t *testing.T) {
	t.Parallel()
	for _, wire := range []string{"", stdout(1, "Content-Type: text/plain\n\nhello")} {
		synctest.Test(t, func(t *testing.T) {
			c := NewClient(Options{Socket: "absent"})
			c.put(newConn(c, &scripted{pieces: []string{wire}}))
			body := waitingReader(make(chan struct{}))
			r, err := http.NewRequest("POST", "/", body)
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = -1
			returned := make(chan struct{})
			go func() {
				defer close(returned)
				if resp, err := c.RoundTrip(r); err == nil {
					resp.Body.Close()
				}
			}()
			synctest.Wait()
			select {
			case <-returned:
				t.Error("the request body is still read, want it given back")
			default:
			}
			close(body)
			<-returned
		})
	}
}

// waitingReader ends when it is closed.
type waitingReader chan struct{}

func (r waitingReader) Read([]byte) (int, error) {
	<-r
	return 0, io.EOF
}

// TestRoundTrip_RequestBodyFails aborts the request, and the connection with it.
func TestRoundTrip_RequestBodyFails(t *testing.T) {
	t.Parallel()
	c := startWorker(t, Options{}, func(p *peer) {
		r, ok := p.begin()
		if !ok {
			return
		}
		for {
			typ, _, content, err := p.record()
			if typ == typeAbortRequest {
				p.send(answer(r.id, "\naborted"))
				break
			}
			if err != nil || typ == typeStdin && content == "" {
				t.Errorf("got %v, record type %d, want FCGI_ABORT_REQUEST", err, typ)
				return
			}
		}
		p.waitGone()
	})
	r := newRequest(t, "POST", "/", "")
	failing := io.MultiReader(bytes.NewReader(make([]byte, 100000)), errorReader{})
	r.Body, r.ContentLength = io.NopCloser(failing), -1
	if _, body, err := fetch(c, r); err != nil || body != "aborted" {
		t.Errorf("got %q (%v), want what the worker said", body, err)
	}
	if n := idle(c); n != 0 {
		t.Errorf("got %d idle connections, want none", n)
	}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errors.New("disk gone") }

func randomText(n int) string {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range b {
		b[i] = 'a' + byte(rng.IntN(26))
	}
	return string(b)
}
