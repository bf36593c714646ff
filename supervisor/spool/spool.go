// Package spool keeps answers that slow clients have not taken, and request bodies, in a
// bounded amount of memory and in files without names. A worker is free as soon as its
// answer is here, however slow the client. It knows no HTTP connection and no site.
package spool

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// maxFile is how far ahead of its client a worker may be. Beyond that it waits.
const maxFile = 1 << 30

// fileRetry is how long a worker waits for its client before Write tries again to make a
// file: descriptors and disk space run out and come back.
const fileRetry = time.Second

// ErrCancelled says that the client does not want the rest of an answer.
var ErrCancelled = errors.New("the client has left")

// Spool holds what a worker has answered and the client has not taken yet: in memory,
// then in a file. One goroutine writes and one reads.
type Spool struct {
	store *Store

	mu   sync.Mutex
	cond sync.Cond // is broadcast when anything below changes
	// mu protects all below
	block      []byte   // of the store; nil while it holds nothing
	start, end int      // unread part of the block; older than what the file holds
	file       *os.File // nil until needed
	from, to   int64    // unread part of the file
	finished   bool     // the writer is done
	cancelled  bool     // the reader wants no more
	err        error    // why the writer ended early; valid if finished
}

// NewSpool returns an empty spool.
func (s *Store) NewSpool() *Spool {
	p := &Spool{store: s}
	p.cond.L = &p.mu
	return p
}

// Write adds p. It waits while the spool or the disk is full: then the worker is as slow
// as its client.
func (s *Spool) Write(p []byte) (written int, err error) {
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
		again := time.AfterFunc(fileRetry, s.cond.Broadcast)
		s.cond.Wait()
		again.Stop()
	}
	return written, ErrCancelled
}

// addLocked takes as much of p as there is room for now. Memory holds what comes before
// the file, and what cannot be written to a file.
func (s *Spool) addLocked(p []byte) int {
	room := 0
	if s.to == s.from {
		if s.block == nil {
			s.block = s.store.Block()
		}
		room = len(s.block) - s.end
	}
	if room < len(p) && s.to-s.from <= maxFile && s.openLocked() == nil {
		n, _ := s.file.WriteAt(p, s.to) // Write tries again with what did not fit
		s.to += int64(n)
		if n > 0 {
			return n
		}
	}
	if s.block == nil && s.to == s.from { // no memory and no file: the worker is as slow as its client
		s.block = s.store.blockOrLess()
		room = len(s.block)
	}
	n := copy(s.block[s.end:], p[:min(len(p), room)])
	s.end += n
	return n
}

// openLocked makes the file, and removes its name at once.
func (s *Spool) openLocked() error {
	if s.file != nil {
		return nil
	}
	f, err := os.CreateTemp(s.store.dir, "spool-*")
	if err != nil {
		return err
	}
	s.file = f
	return os.Remove(f.Name())
}

// Next returns what there is to read, which stays until Take. If there is nothing yet,
// it calls idle once, without mu, and waits. io.EOF is the end of a whole answer.
func (s *Spool) Next(idle func()) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for waited := false; ; waited = true {
		if s.cancelled {
			return nil, ErrCancelled
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

// loadLocked moves the next part of the file into memory, if that is empty.
func (s *Spool) loadLocked() error {
	if s.start < s.end || s.to == s.from {
		return nil
	}
	if s.block == nil {
		s.block = s.store.blockOrLess()
	}
	n, err := s.file.ReadAt(s.block[:min(int64(len(s.block)), s.to-s.from)], s.from)
	if n == 0 {
		return err
	}
	s.start, s.end, s.from = 0, n, s.from+int64(n)
	if s.from == s.to {
		s.from, s.to = 0, 0
		_ = s.file.Truncate(0) // frees the disk early; Close does it anyway
	}
	s.cond.Broadcast()
	return nil
}

// Take drops n bytes of what Next has returned.
func (s *Spool) Take(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.start += n; s.start == s.end {
		s.freeLocked()
	}
	s.cond.Broadcast()
}

// freeLocked gives an empty block back.
func (s *Spool) freeLocked() {
	s.store.GiveBlock(s.block)
	s.block, s.start, s.end = nil, 0, 0
}

// Finish tells the reader that nothing more comes. err is nil after a whole answer.
func (s *Spool) Finish(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished, s.err = true, err
	s.cond.Broadcast()
}

// Cancel tells the writer that nobody reads on.
func (s *Spool) Cancel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancelled = true
	s.cond.Broadcast()
}

// Close frees memory and file. Reader and writer must be done.
func (s *Spool) Close() {
	s.freeLocked()
	if s.file != nil {
		s.file.Close()
	}
}
