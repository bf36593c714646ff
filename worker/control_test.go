package worker

import (
	"errors"
	"io"
	"testing"
	"time"
)

// talker never stops sending.
type talker struct{ io.ReadWriteCloser }

func (talker) Read(p []byte) (int, error) { return len(p), nil }

// TestControl_EndsWithATalker: what a worker sends is not kept without bound.
func TestControl_EndsWithATalker(t *testing.T) {
	t.Parallel()
	b := &bounded{ReadWriteCloser: talker{}, begun: time.Now()}
	n, err := io.Copy(io.Discard, io.LimitReader(b, 1<<30))
	if !errors.Is(err, errTooMuch) || n < controlBurst/2 || n > 2*controlBurst {
		t.Errorf("read %d bytes (%v), want %d and the end", n, err, controlBurst)
	}
}
