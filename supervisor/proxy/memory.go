package proxy

import (
	"sync"
	"sync/atomic"
)

const (
	spoolMemory = 64 << 10 // of one answer, before a file is used
	bodyMemory  = 64 << 10 // of a request body, which goes to a file where it is larger
	mostMemory  = 64 << 20 // of all of them together
	leastMemory = 4 << 10  // what one gets beyond that, to move what is in its file
)

// memory counts what waits for slow clients outside of files, of all requests. It gives
// out no more than it may, so that their number is bounded by descriptors, not by RAM.
type memory struct {
	most   int64
	taken  atomic.Int64
	blocks sync.Pool // of *[spoolMemory]byte
}

func newMemory(most int64) *memory {
	m := &memory{most: most}
	m.blocks.New = func() any { return new([spoolMemory]byte) }
	return m
}

// take tells whether there are n bytes, which are to be given back.
func (m *memory) take(n int) bool {
	if m.taken.Add(int64(n)) > m.most {
		m.give(n)
		return false
	}
	return true
}

func (m *memory) give(n int) { m.taken.Add(int64(-n)) }

// block returns spoolMemory bytes, to be given back; nil: all is taken.
func (m *memory) block() []byte {
	if !m.take(spoolMemory) {
		return nil
	}
	return m.blocks.Get().(*[spoolMemory]byte)[:]
}

// some returns a block, or where all is taken the least that one can go on with.
func (m *memory) some() []byte {
	if b := m.block(); b != nil {
		return b
	}
	return make([]byte, leastMemory)
}

// back takes what block or some returned; nil does no harm.
func (m *memory) back(block []byte) {
	if len(block) == spoolMemory {
		m.blocks.Put((*[spoolMemory]byte)(block))
		m.give(spoolMemory)
	}
}
