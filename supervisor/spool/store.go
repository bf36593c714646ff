package spool

import (
	"io"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// AnswerMemory is how much of one answer is kept in memory, before a file is used.
	AnswerMemory = 64 << 10
	// BodyMemory is how large a request body may be that is kept in memory.
	BodyMemory = 64 << 10
	// MaxMemory is the limit of a new Store for all answers and bodies together.
	MaxMemory = 64 << 20
	// CopySize is how much is moved at once.
	CopySize = 32 << 10

	minMemory = 4 << 10 // what one answer or body gets beyond the limit, to use its file

	returnWorth = 8 << 20         // so much less in use is worth to be returned to the kernel
	returnDelay = 2 * time.Second // until then it may be in use again
)

// Store is where answers and request bodies wait for slow clients. It bounds the memory
// that all of them take together, so that their number is bounded by descriptors, not by
// memory: beyond it they wait in files of Dir, which have no names.
type Store struct {
	dir    string       // "": the system's
	max    atomic.Int64 // bytes of memory
	taken  atomic.Int64 // bytes of memory in use
	peak   atomic.Int64 // the most that were in use since memory was returned to the kernel
	due    atomic.Bool  // returnMemory is about to be called
	blocks sync.Pool    // of *[AnswerMemory]byte
	copies sync.Pool    // of *[CopySize]byte
}

// NewStore returns a store with files in dir; "" is the system's directory.
func NewStore(dir string) *Store {
	s := &Store{dir: dir}
	s.max.Store(MaxMemory)
	s.blocks.New = func() any { return new([AnswerMemory]byte) }
	s.copies.New = func() any { return new([CopySize]byte) }
	return s
}

// SetMax sets the limit of memory.
func (s *Store) SetMax(n int64) { s.max.Store(n) }

// InMemory returns how many bytes of memory are in use.
func (s *Store) InMemory() int64 { return s.taken.Load() }

// Copy copies an answer as it comes.
func (s *Store) Copy(to io.Writer, from io.Reader) (int64, error) {
	buf := s.copies.Get().(*[CopySize]byte)
	defer s.copies.Put(buf)
	return io.CopyBuffer(to, from, buf[:])
}

// Take reports whether there are n bytes. The caller gives them back.
func (s *Store) Take(n int) bool {
	now := s.taken.Add(int64(n))
	if now > s.max.Load() {
		s.Give(n)
		return false
	}
	for peak := s.peak.Load(); now > peak && !s.peak.CompareAndSwap(peak, now); peak = s.peak.Load() {
	}
	return true
}

// Give gives back n bytes that were taken.
func (s *Store) Give(n int) {
	if left := s.taken.Add(int64(-n)); s.peak.Load()-left > returnWorth && s.due.CompareAndSwap(false, true) {
		time.AfterFunc(returnDelay, s.returnMemory)
	}
}

// returnMemory returns to the kernel what many slow clients have needed. The runtime alone
// would take minutes.
func (s *Store) returnMemory() {
	s.due.Store(false)
	left := s.taken.Load()
	if s.peak.Load()-left <= returnWorth { // it is in use again
		return
	}
	s.peak.Store(left)
	runtime.GC() // a pool gives up its blocks at the second collection
	debug.FreeOSMemory()
}

// Block returns AnswerMemory bytes, or nil at the limit. The caller passes them to GiveBlock.
func (s *Store) Block() []byte {
	if !s.Take(AnswerMemory) {
		return nil
	}
	return s.blocks.Get().(*[AnswerMemory]byte)[:]
}

// blockOrLess returns a block, or at the limit the least that one can go on with.
func (s *Store) blockOrLess() []byte {
	if b := s.Block(); b != nil {
		return b
	}
	return make([]byte, minMemory)
}

// GiveBlock takes back what Block or blockOrLess returned, also nil.
func (s *Store) GiveBlock(block []byte) {
	if len(block) == AnswerMemory {
		s.blocks.Put((*[AnswerMemory]byte)(block))
		s.Give(AnswerMemory)
	}
}
