package fastcgi

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	c := startWorker(t, Options{}, func(p *peer) {
		if p.answerProbe() {
			answerAll(p)
		}
	})
	if err := c.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	resp, _, err := fetch(c, newRequest(t, "GET", "/", ""))
	if err != nil || resp.Header.Get("Connection-Number") != "1" {
		t.Errorf("got %+v (%v), want an answer from the probed connection", resp, err)
	}
}

// TestProbe_OfAWorkerWithAnIdleConnection: the worker's only thread may serve that.
func TestProbe_OfAWorkerWithAnIdleConnection(t *testing.T) {
	t.Parallel()
	c := startWorker(t, Options{}, func(p *peer) {
		if p.answerProbe() {
			answerAll(p)
		}
	})
	for range 3 {
		if err := c.Probe(t.Context()); err != nil || idle(c) != 1 {
			t.Fatalf("got %v, %d idle connections", err, idle(c))
		}
	}
}

func TestProbe_Fails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, wire string
		want       error
	}{
		{"closed", "", io.ErrUnexpectedEOF},
		{"cut short", rec(typeGetValuesResult, 0, "hello", 0)[:10], io.ErrUnexpectedEOF},
		{"another type", rec(typeStdout, 0, "", 0), ErrMalformed},
		{"for a request", rec(typeGetValuesResult, 1, "", 0), ErrMalformed},
		{"HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", ErrMalformed},
		{"more than the answer", rec(typeGetValuesResult, 0, "", 5) + stdout(1, ""), ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := startWorker(t, Options{}, func(p *peer) {
				_, _, _, _ = p.record()
				p.send(test.wire)
			})
			if err := c.Probe(t.Context()); !errors.Is(err, test.want) || idle(c) != 0 {
				t.Errorf("got %v and %d idle connections, want %v and none", err, idle(c), test.want)
			}
		})
	}
	t.Run("no socket", func(t *testing.T) {
		t.Parallel()
		c := NewClient(Options{Socket: filepath.Join(t.TempDir(), "w.sock")})
		if err := c.Probe(t.Context()); err == nil {
			t.Error("got no error")
		}
	})
}

// TestProbe_EndsWithContext has a worker that never answers.
func TestProbe_EndsWithContext(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 2)
	c := startWorker(t, Options{}, func(p *peer) {
		_, _, _, _ = p.record()
		asked <- struct{}{}
		p.waitGone()
	})
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(stopped)
	}()
	if err := c.Probe(ctx); !errors.Is(err, stopped) {
		t.Errorf("got %v, want the cause", err)
	}
	late, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if err := c.Probe(late); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}
