package supervisor

import (
	"path/filepath"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/proxy"
)

const (
	accessDelay = time.Second
	accessBlock = 32 << 10
)

// accessLog is a site's access log, written in blocks, the last one soon after its
// first line. Between blocks it holds no file, and no memory while nobody asks.
type accessLog struct {
	logs *logs

	mu sync.Mutex
	// mu protects all below
	file  logFile
	lines []byte      // to be written; nil: none
	flush *time.Timer // nil: none yet
}

func (l *logs) access(site string) *accessLog {
	return &accessLog{logs: l, file: logFile{path: filepath.Join(l.dir, site+".access.log"), rules: &l.rules}}
}

func (a *accessLog) write(e proxy.Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lines == nil {
		a.flush = time.AfterFunc(accessDelay, a.flushNow)
	}
	a.lines = e.AppendCombined(a.lines)
	if len(a.lines) >= accessBlock {
		a.writeLocked()
		a.lines = a.lines[:0]
	}
}

func (a *accessLog) flushNow() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writeLocked()
	a.lines = nil
}

func (a *accessLog) writeLocked() {
	if len(a.lines) == 0 {
		return
	}
	if err := a.file.write(a.lines); err != nil {
		a.logs.warn(err)
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
