package coding

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// MinSize is the size from which on encoding pays.
const MinSize = 1 << 10

// Made are the codings that are made here.
var Made = []Coding{Gzip, Zstd}

// Encode returns p encoded in Gzip or Zstd, as small as that is done fast. It takes 10 ms
// and less for each megabyte, and some megabytes of memory meanwhile.
func (c Coding) Encode(p []byte) []byte {
	if c == Zstd {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithWindowSize(1<<20))
		if err != nil {
			panic("coding: an option of zstd is wrong: " + err.Error())
		}
		return e.EncodeAll(p, nil)
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(p) // cannot fail: it writes into memory
	_ = w.Close()
	return out.Bytes()
}

// Writer encodes what is written to it. Close ends it; it must not be used after that.
type Writer struct {
	encoder
	from *sync.Pool
}

type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// NewWriter returns a Writer in Gzip or Zstd that writes to w, made for speed.
func (c Coding) NewWriter(w io.Writer) *Writer {
	p := &pools[c]
	e, ok := p.Get().(encoder)
	if !ok {
		e = newEncoder(c)
	}
	e.Reset(w)
	return &Writer{e, p}
}

// pools keep encoders, by coding: each has a megabyte of tables.
var pools [codings]sync.Pool

// streamWindow is the memory of a zstd stream on either side.
const streamWindow = 256 << 10

// streamLevel of gzip is much faster than the default, for some percent of the size.
const streamLevel = 3

func newEncoder(c Coding) encoder {
	if c == Zstd {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithWindowSize(streamWindow), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic("coding: an option of zstd is wrong: " + err.Error())
		}
		return e
	}
	e, err := gzip.NewWriterLevel(nil, streamLevel)
	if err != nil {
		panic("coding: the level of gzip is wrong: " + err.Error())
	}
	return e
}

// Close writes what is left and the end.
func (w *Writer) Close() error {
	err := w.encoder.Close()
	w.GiveUp()
	return err
}

// GiveUp is for one whose end nobody wants.
func (w *Writer) GiveUp() {
	w.Reset(io.Discard)
	w.from.Put(w.encoder)
}
