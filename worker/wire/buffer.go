package wire

// Buffer is what the fast loop reads answers into, from one connection after another. What
// a connection has read ahead stays here, without being copied, until another one needs the
// Buffer. One goroutine uses it, and a connection has only one. Its zero value has no room.
type Buffer struct {
	bytes  []byte
	holder Holder // nil: there is nothing that anybody needs
}

// Holder is a connection that may have left in a Buffer what it has read ahead.
type Holder interface {
	Vacate() // copies that, and calls Buffer.Free
}

// NewBuffer returns a buffer of a size.
func NewBuffer(size int) *Buffer { return &Buffer{bytes: make([]byte, size)} }

// Take returns the buffer for h to read into; nil: for nobody who leaves something there.
func (b *Buffer) Take(h Holder) []byte {
	if b.holder != nil && b.holder != h {
		b.holder.Vacate()
	}
	b.holder = h
	return b.bytes
}

// Free is called by the holder, when it needs nothing here any more.
func (b *Buffer) Free() { b.holder = nil }
