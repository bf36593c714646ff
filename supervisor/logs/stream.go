package logs

import (
	"context"
	"io"
	"slices"
)

// streamBuffer is how many lines wait for a reader. A slower one loses lines.
const streamBuffer = 1000

// Stream gets the new lines of one site, or of all.
type Stream struct {
	logs  *Logs
	site  string      // "": all
	lines chan string // closed, with logs.mu held, when the stream is ended by Logs
}

// Stream returns a stream of the lines that are written to the log of a site from now
// on, or to all logs if site is empty. The caller must call Close.
func (l *Logs) Stream(site string) *Stream {
	s := &Stream{logs: l, site: site, lines: make(chan string, streamBuffer)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		close(s.lines)
		return s
	}
	l.streams[s] = true
	return s
}

// Close removes the stream.
func (s *Stream) Close() {
	s.logs.mu.Lock()
	defer s.logs.mu.Unlock()
	delete(s.logs.streams, s)
}

// Copy writes new lines to w until the stream or ctx ends. It leaves out those that
// tail holds: lines that were written between Stream and the reading of the tail.
func (s *Stream) Copy(ctx context.Context, w io.Writer, tail []string) error {
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				return nil
			}
			if len(tail) > 0 && line <= tail[len(tail)-1] && slices.Contains(tail, line) {
				continue
			}
			tail = nil
			if _, err := io.WriteString(w, line); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// EndStreams ends all streams of now and of later.
func (l *Logs) EndStreams() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.dropStreamsLocked()
}

// DropStreams ends all streams of now.
func (l *Logs) DropStreams() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropStreamsLocked()
}

func (l *Logs) dropStreamsLocked() {
	for s := range l.streams {
		delete(l.streams, s)
		close(s.lines)
	}
}
