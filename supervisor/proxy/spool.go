package proxy

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// spoolFile is how far ahead of its client a worker may be: beyond, it waits.
const spoolFile = 1 << 30

// fileAgain is how long a worker waits for its client before it is looked whether a file
// can be had by now: descriptors run out and come back.
const fileAgain = time.Second

// errCancelled says that the client does not want the rest.
var errCancelled = errors.New("the client has left")

// spool holds what a worker has answered and the client has not taken yet.
// One goroutine writes and one reads.
type spool struct {
	dir    string
	memory *memory

	mu   sync.Mutex
	cond sync.Cond
	// mu protects all below
	block      []byte   // nil while nothing is in it
	start, end int      // unread part of the block; older than what the file holds
	file       *os.File // nil until needed
	from, to   int64    // unread part of the file
	finished   bool     // the writer has ended
	cancelled  bool     // the reader has
	err        error    // why the writer ended early
}

func newSpool(dir string, memory *memory) *spool {
	s := &spool{dir: dir, memory: memory}
	s.cond.L = &s.mu
	return s
}

// Write adds p. It waits while the spool is full, or the disk: then the worker is
// as slow as its client.
func (s *spool) Write(p []byte) (written int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.cancelled {
		n := s.addLocked(p[written:])
		if written += n; n > 0 {
			s.cond.Broadcast()
		}
		if written == len(p) {
			return written, nil
		}
		again := time.AfterFunc(fileAgain, s.cond.Broadcast)
		s.cond.Wait()
		again.Stop()
	}
	return written, errCancelled
}

// addLocked takes as much of p as there is room for now. Memory is for what comes
// before the file, and for what no file can be had for.
func (s *spool) addLocked(p []byte) int {
	room := 0
	if s.to == s.from {
		if s.block == nil {
			s.block = s.memory.block()
		}
		room = len(s.block) - s.end
	}
	if room < len(p) && s.to-s.from <= spoolFile && s.openLocked() == nil {
		n, _ := s.file.WriteAt(p, s.to) // what did not fit is tried again when there is room
		s.to += int64(n)
		if n > 0 {
			return n
		}
	}
	if s.block == nil && s.to == s.from { // neither: so it is as slow as its client
		s.block = s.memory.some()
		room = len(s.block)
	}
	n := copy(s.block[s.end:], p[:min(len(p), room)])
	s.end += n
	return n
}

// openLocked makes the file, already without a name.
func (s *spool) openLocked() error {
	if s.file != nil {
		return nil
	}
	f, err := os.CreateTemp(s.dir, "spool-*")
	if err != nil {
		return err
	}
	s.file = f
	return os.Remove(f.Name())
}

// next returns what there is to read, which stays until it is taken. When there is
// nothing yet it calls idle once and waits. io.EOF is the end of a whole answer.
func (s *spool) next(idle func()) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for waited := false; ; waited = true {
		if s.cancelled {
			return nil, errCancelled
		}
		if err := s.loadLocked(); err != nil {
			return nil, err
		}
		if s.start < s.end {
			return s.block[s.start:s.end], nil
		}
		if s.finished {
			if s.err != nil {
				return nil, s.err
			}
			return nil, io.EOF
		}
		if !waited {
			s.mu.Unlock()
			idle()
			s.mu.Lock()
			continue
		}
		s.cond.Wait()
	}
}

// loadLocked moves what is next from the file into memory, if nothing is there.
func (s *spool) loadLocked() error {
	if s.start < s.end || s.to == s.from {
		return nil
	}
	if s.block == nil {
		s.block = s.memory.some()
	}
	n, err := s.file.ReadAt(s.block[:min(int64(len(s.block)), s.to-s.from)], s.from)
	if n == 0 {
		return err
	}
	s.start, s.end, s.from = 0, n, s.from+int64(n)
	if s.from == s.to {
		s.from, s.to = 0, 0
		_ = s.file.Truncate(0) // frees the disk early; close does it anyway
	}
	s.cond.Broadcast()
	return nil
}

// take drops n bytes of what next has returned.
func (s *spool) take(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.start += n; s.start == s.end {
		s.freeLocked()
	}
	s.cond.Broadcast()
}

// freeLocked gives memory back that holds nothing any more.
func (s *spool) freeLocked() {
	s.memory.back(s.block)
	s.block, s.start, s.end = nil, 0, 0
}

// finish tells the reader that nothing more comes; err is nil for a whole answer.
func (s *spool) finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished, s.err = true, err
	s.cond.Broadcast()
}

// cancel tells the writer that nobody reads on.
func (s *spool) cancel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancelled = true
	s.cond.Broadcast()
}

// close frees memory and file. Both sides must have ended.
func (s *spool) close() {
	s.freeLocked()
	if s.file != nil {
		s.file.Close()
	}
}
