package proxy

import (
	"errors"
	"io"
	"os"
	"sync"
)

const (
	spoolMemory = 1 << 20 // of one answer, before a file is used
	spoolFile   = 1 << 30 // a worker further ahead of its client than this waits
)

// errCancelled says that the client does not want the rest.
var errCancelled = errors.New("the client has left")

// spool holds what a worker has answered and the client has not taken yet.
// One goroutine writes and one reads.
type spool struct {
	dir string

	mu   sync.Mutex
	cond sync.Cond
	// mu protects all below
	mem       []byte   // unread; older than what the file holds
	file      *os.File // nil until needed
	from, to  int64    // unread part of the file
	finished  bool     // the writer has ended
	cancelled bool     // the reader has
	err       error    // why the writer ended early
}

func newSpool(dir string) *spool {
	s := &spool{dir: dir}
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
		s.cond.Wait()
	}
	return written, errCancelled
}

// addLocked takes as much of p as there is room for now. Memory is for what comes
// before the file, and for what no file can be had for.
func (s *spool) addLocked(p []byte) int {
	inMemory := 0
	if s.to == s.from {
		inMemory = min(len(p), spoolMemory-len(s.mem))
	}
	if inMemory < len(p) && s.to-s.from <= spoolFile && s.openLocked() == nil {
		n, _ := s.file.WriteAt(p, s.to) // what did not fit is tried again when there is room
		s.to += int64(n)
		if n > 0 {
			return n
		}
	}
	s.mem = append(s.mem, p[:inMemory]...)
	return inMemory
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

// read takes what there is into p. When there is nothing yet it calls idle once
// and waits. io.EOF is the end of a whole answer.
func (s *spool) read(p []byte, idle func()) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for waited := false; ; waited = true {
		if s.cancelled {
			return 0, errCancelled
		}
		if n, err := s.takeLocked(p); n > 0 || err != nil {
			s.cond.Broadcast()
			return n, err
		}
		if s.finished {
			if s.err != nil {
				return 0, s.err
			}
			return 0, io.EOF
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

func (s *spool) takeLocked(p []byte) (int, error) {
	if len(s.mem) > 0 {
		n := copy(p, s.mem)
		s.mem = s.mem[n:]
		return n, nil
	}
	if s.to == s.from {
		return 0, nil
	}
	n, err := s.file.ReadAt(p[:min(int64(len(p)), s.to-s.from)], s.from)
	s.from += int64(n)
	if s.from == s.to {
		s.from, s.to = 0, 0
		_ = s.file.Truncate(0) // frees the disk early; close does it anyway
	}
	return n, err
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

// close frees the file. Both sides must have ended.
func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
}
