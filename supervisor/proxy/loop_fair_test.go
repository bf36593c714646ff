package proxy

import (
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/multisite/multisite/supervisor/site"
)

// TestLoop_FilesInAPipelineGetTurns: a client that asks for one file after another without
// a pause leaves the loop to others, and the loop's stack does not grow with it.
func TestLoop_FilesInAPipelineGetTurns(t *testing.T) {
	t.Parallel()
	var answers, deepest atomic.Int64
	f := startFiled(t, loopback(t, 0), map[string]int{"a": 1}, func(s *site.Site) {
		s.Access = func(*site.Entry) {
			var pcs [1000]uintptr
			deepest.Store(max(deepest.Load(), int64(runtime.Callers(0, pcs[:]))))
			answers.Add(1)
		}
	})
	p := f.dial(get("/s/a"))
	p.wantFile(200, pattern(1))
	go func() {
		many := []byte(strings.Repeat(get("/s/a"), 1000))
		for {
			if _, err := p.Write(many); err != nil {
				return
			}
		}
	}()
	go func() { _, _ = io.Copy(io.Discard, p.br) }()
	until(t, "the pipeline is served", func() bool { return answers.Load() > 1000 })
	other := f.dial("")
	for range 10 {
		other.send(get("/"))
		other.wantBody("/")
	}
	p.Close()
	if n := deepest.Load(); n > 100 {
		t.Errorf("%d calls deep", n)
	}
}
