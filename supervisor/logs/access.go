package logs

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"
)

const (
	accessDelay = time.Second // how long the first line of a block waits for more
	accessBlock = 32 << 10    // bytes that are written at once
	accessMax   = 1 << 20     // bytes that wait for a slow disk
)

var errSlowDisk = errors.New("the disk is slower than the requests")

// AccessLog is the access log of a site or of the front door. It is written in
// blocks, the last one soon after its first line. A caller never waits for the disk:
// another goroutine writes, and lines that are too many for it are lost. Between
// blocks there is no goroutine and no open file, and an idle log holds no memory.
type AccessLog struct {
	logs *Logs

	writing sync.Mutex
	// writing is held while the file is written, and protects file and spare.
	file  file
	spare []byte // the buffer of the last block, to be used again; nil: none

	mu sync.Mutex
	// mu protects all below. It is never held during I/O.
	lines []byte      // to be written; nil: none, and flush has fired
	flush *time.Timer // writes what waits; nil: there was no line yet
	full  bool        // a goroutine is about to write a block
	lost  int         // lines lost after those that wait
	slow  bool        // lines were lost, and that was logged
}

// Access returns the access log of a site.
func (l *Logs) Access(site string) *AccessLog {
	return &AccessLog{logs: l, file: file{path: filepath.Join(l.dir, site+".access.log"), rotation: &l.rotation}}
}

// Add adds one line, which appendLine appends to the bytes that it is given. It never
// waits for the disk, since the front door's loop calls it.
func (a *AccessLog) Add(appendLine func([]byte) []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.lines) >= accessMax {
		a.loseLocked()
		return
	}
	lines := appendLine(a.lines)
	if a.lines == nil {
		a.flush = time.AfterFunc(accessDelay, a.Flush)
	}
	a.lines = lines
	if len(a.lines) >= accessBlock && !a.full {
		a.full = true
		go a.writeBlock() // ends when the block is written
	}
}

func (a *AccessLog) loseLocked() {
	a.lost++
	if !a.slow {
		a.slow = true
		if a.logs.rotation.failing.Add(1) == 1 {
			go a.logs.warn(fmt.Errorf("write %s: %w", a.file.path, errSlowDisk)) // ends when that is logged
		}
	}
}

func (a *AccessLog) writeBlock() {
	a.writing.Lock()
	defer a.writing.Unlock()
	if a.spare == nil {
		a.spare = make([]byte, 0, accessBlock+accessBlock/8)
	}
	lines, lost := a.take(a.spare)
	a.spare = lines[:0]
	a.write(lines, lost)
}

// Flush writes all lines that were added before, and those added meanwhile if some
// were lost.
func (a *AccessLog) Flush() {
	a.writing.Lock()
	defer a.writing.Unlock()
	a.spare = nil
	for lost := 1; lost > 0; {
		var lines []byte
		lines, lost = a.take(nil)
		a.write(lines, lost)
	}
}

// take returns the lines that wait. New ones go into empty.
func (a *AccessLog) take(empty []byte) (lines []byte, lost int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	lines, lost = a.lines, a.lost
	a.full, a.lost = false, 0
	if lines != nil {
		a.lines = empty
	}
	if lost == 0 && a.slow {
		a.slow = false
		a.logs.rotation.failing.Add(-1)
	}
	return lines, lost
}

// write writes lines, and notes how many are lost after them. It is called with
// writing held.
func (a *AccessLog) write(lines []byte, lost int) {
	if len(lines) == 0 {
		return
	}
	if err := a.file.write(lines); err != nil {
		a.logs.warn(err)
	}
	if lost > 0 {
		a.file.lose(lost)
	}
	a.file.close()
}

// Close writes all lines. Nothing may be added any more.
func (a *AccessLog) Close() {
	a.mu.Lock()
	if a.flush != nil {
		a.flush.Stop()
	}
	a.mu.Unlock()
	a.Flush()
}
