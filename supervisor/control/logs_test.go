package control

import (
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// TestLogs_SendsLinesAtOnce: a line reaches the client while the supervisor goes on.
func TestLogs_SendsLinesAtOnce(t *testing.T) {
	t.Parallel()
	read := make(chan struct{})
	queries := make(chan LogQuery, 1)
	c := serve(t, &fake{logs: func(ctx context.Context, q LogQuery, w io.Writer) error {
		queries <- q
		_, _ = io.WriteString(w, "one\n")
		select {
		case <-read:
		case <-ctx.Done():
			return ctx.Err()
		}
		_, err := io.WriteString(w, "two\n")
		return err
	}})
	q := LogQuery{Site: "blog", Lines: 5}
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- c.Logs(t.Context(), q, w)
		w.Close()
	}()
	line := make([]byte, 4)
	if _, err := io.ReadFull(r, line); err != nil || string(line) != "one\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	close(read)
	if rest, err := io.ReadAll(r); err != nil || string(rest) != "two\n" {
		t.Errorf("got %q, %v", rest, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := <-queries; got != q {
		t.Errorf("the supervisor was asked for %+v, want %+v", got, q)
	}
}

// TestLogs_Error: an error is reported when nothing was sent yet, and never mixed
// with lines.
func TestLogs_Error(t *testing.T) {
	t.Parallel()
	failure := &Error{Message: "no site \"x\"", Usage: true}
	for _, sent := range []string{"", "line\n"} {
		c := serve(t, &fake{logs: func(_ context.Context, _ LogQuery, w io.Writer) error {
			if sent != "" {
				_, _ = io.WriteString(w, sent)
			}
			return failure
		}})
		var out strings.Builder
		err := c.Logs(t.Context(), LogQuery{Site: "x"}, &out)
		if out.String() != sent || sent == "" && !reflect.DeepEqual(err, failure) || sent != "" && err != nil {
			t.Errorf("after %q: got %q, %#v", sent, out.String(), err)
		}
	}
}

// TestLogs_FollowGoesOn: a client that follows the logs goes on with new lines after the
// connection was lost, as in an upgrade, and ends when no supervisor is left.
func TestLogs_FollowGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var stopping sync.WaitGroup
	var stop func()
	stopOnce := sync.OnceFunc(func() { stopping.Go(stop) })
	queries := make(chan LogQuery, 2)
	stop = serveAt(t, dir, &fake{logs: func(_ context.Context, q LogQuery, w io.Writer) error {
		_, _ = io.WriteString(w, "line\n")
		select {
		case queries <- q:
		default: // the client came back once more before the socket was closed
		}
		if q.Lines == 0 { // the second time
			stopOnce()
			return nil
		}
		panic(http.ErrAbortHandler)
	}})
	var out strings.Builder
	if err := NewClient(dir).Logs(t.Context(), LogQuery{Lines: 100, Follow: true}, &out); err != nil {
		t.Error(err)
	}
	stopping.Wait()
	if !strings.HasPrefix(out.String(), "line\nline\n") {
		t.Errorf("got %q", out.String())
	}
	for _, lines := range []int{100, 0} {
		if got, want := <-queries, (LogQuery{Lines: lines, Follow: true}); got != want {
			t.Errorf("the supervisor was asked for %+v, want %+v", got, want)
		}
	}
}

// TestLogs_LostIsAnError: a client that does not follow gets an error when lines were
// lost.
func TestLogs_LostIsAnError(t *testing.T) {
	t.Parallel()
	c := serve(t, &fake{logs: func(_ context.Context, _ LogQuery, w io.Writer) error {
		_, _ = io.WriteString(w, "line\n")
		panic(http.ErrAbortHandler)
	}})
	if err := c.Logs(t.Context(), LogQuery{}, io.Discard); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}
