package worker

import (
	"errors"
	"io"
	"testing"
	"time"
)

// talker never stops.
type talker struct{ io.ReadWriteCloser }

func (talker) Read(p []byte) (int, error) { return len(p), nil }

// TestControl_EndsWithATalker: what a worker says is not kept without bound.
func TestControl_EndsWithATalker(t *testing.T) {
	t.Parallel()
	q := &quiet{ReadWriteCloser: talker{}, begun: time.Now()}
	n, err := io.Copy(io.Discard, io.LimitReader(q, 1<<30))
	if !errors.Is(err, errTalks) || n < controlBurst/2 || n > 2*controlBurst {
		t.Errorf("heard %d bytes (%v), want %d and the end", n, err, controlBurst)
	}
}
