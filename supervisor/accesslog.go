package supervisor

import (
	"os"
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
	path string

	mu sync.Mutex
	// mu protects all below
	lines []byte      // to be written; nil: none
	flush *time.Timer // nil: none yet
}

func (l *logs) access(site string) *accessLog {
	return &accessLog{path: filepath.Join(l.dir, site+".access.log")}
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

// writeLocked adds the lines to the file. A disk that is full costs log lines,
// never a request.
func (a *accessLog) writeLocked() {
	if len(a.lines) == 0 {
		return
	}
	f, err := os.OpenFile(a.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return
	}
	_, _ = f.Write(a.lines)
	f.Close()
}

func (a *accessLog) close() {
	a.mu.Lock()
	if a.flush != nil {
		a.flush.Stop()
	}
	a.mu.Unlock()
	a.flushNow()
}
