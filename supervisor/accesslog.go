package supervisor

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/proxy"
)

const (
	accessDelay = time.Second
	accessBlock = 32 << 10
	accessMost  = 1 << 20 // that wait for a slow disk
)

var errSlowDisk = errors.New("the disk is slower than the requests")

// accessLog is the access log of a site or of the front door, written in blocks, the last one soon after its
// first line. Who has a line never waits for the disk: another goroutine writes what
// has come together, and what is too much for it is lost. Between blocks there is
// no goroutine and no open file, and no memory is held while nobody asks.
type accessLog struct {
	logs *logs

	writing sync.Mutex
	// writing is held while the file is written, and protects all below
	file  logFile
	spare []byte // was written; nil: none

	mu sync.Mutex
	// mu is held for a moment, and protects all below
	lines []byte      // to be written; nil: none, and flush is not set
	flush *time.Timer // nil: none yet
	full  bool        // somebody will write a block
	lost  int         // lines that came after lines
	slow  bool        // some were lost, which was told
}

func (l *logs) access(site string) *accessLog {
	return &accessLog{logs: l, file: logFile{path: filepath.Join(l.dir, site+".access.log"), rules: &l.rules}}
}

// write is for the front door's one thread: it may not wait.
func (a *accessLog) write(e proxy.Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.roomLocked() {
		a.addedLocked(e.AppendCombined(a.lines))
	}
}

// refuse is write for what the front door has answered for itself.
func (a *accessLog) refuse(r proxy.Refusal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.roomLocked() {
		a.addedLocked(r.AppendCombined(a.lines))
	}
}

// roomLocked tells whether there is room for one more line, or loses it.
func (a *accessLog) roomLocked() bool {
	if len(a.lines) >= accessMost {
		a.loseLocked()
		return false
	}
	return true
}

func (a *accessLog) addedLocked(lines []byte) {
	if a.lines == nil {
		a.flush = time.AfterFunc(accessDelay, a.flushNow)
	}
	a.lines = lines
	if len(a.lines) >= accessBlock && !a.full {
		a.full = true
		go a.writeBlock()
	}
}

func (a *accessLog) loseLocked() {
	a.lost++
	if !a.slow {
		a.slow = true
		if a.logs.rules.failing.Add(1) == 1 {
			go a.logs.warn(fmt.Errorf("write %s: %w", a.file.path, errSlowDisk))
		}
	}
}

func (a *accessLog) writeBlock() {
	a.writing.Lock()
	defer a.writing.Unlock()
	if a.spare == nil {
		a.spare = make([]byte, 0, accessBlock+accessBlock/8)
	}
	lines, lost := a.take(a.spare)
	a.spare = lines[:0]
	a.add(lines, lost)
}

// flushNow writes all that came before it was called, and after a loss what came since.
func (a *accessLog) flushNow() {
	a.writing.Lock()
	defer a.writing.Unlock()
	a.spare = nil
	for lost := 1; lost > 0; {
		var lines []byte
		lines, lost = a.take(nil)
		a.add(lines, lost)
	}
}

// take returns what is to be written. What comes now goes into empty.
func (a *accessLog) take(empty []byte) (lines []byte, lost int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	lines, lost = a.lines, a.lost
	a.full, a.lost = false, 0
	if lines != nil {
		a.lines = empty
	}
	if lost == 0 && a.slow {
		a.slow = false
		a.logs.rules.failing.Add(-1)
	}
	return lines, lost
}

// add writes lines, and that others are lost behind them.
func (a *accessLog) add(lines []byte, lost int) {
	if len(lines) == 0 {
		return
	}
	if err := a.file.write(lines); err != nil {
		a.logs.warn(err)
	}
	if lost > 0 {
		a.file.lose(lost)
	}
	a.file.release()
}

func (a *accessLog) close() {
	a.mu.Lock()
	if a.flush != nil {
		a.flush.Stop()
	}
	a.mu.Unlock()
	a.flushNow()
}
