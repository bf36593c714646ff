package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/static"
)

// filed is a front door whose site has one directory of files.
type filed struct {
	*front
	dir      string
	detached atomic.Int64 // answers by net/http
}

// startFiled makes files of these sizes, whose contents differ at every place.
func startFiled(t *testing.T, l net.Listener, sizes map[string]int, change ...func(*site.Site)) *filed {
	t.Helper()
	f := &filed{dir: t.TempDir()}
	for name, size := range sizes {
		if err := os.WriteFile(filepath.Join(f.dir, name), pattern(size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	change = append(change, func(s *site.Site) {
		s.Static = append(s.Static, site.Static{Prefix: "/s/", Dirs: []string{f.dir}})
		access := s.Access
		s.Access = func(e *site.Entry) {
			if !bytes.Contains(debug.Stack(), []byte("fastloop.(*Loop).Run")) {
				f.detached.Add(1)
			}
			access(e)
		}
	})
	t.Cleanup(func() { until(t, "every file is closed", func() bool { return len(openOf(t, f.dir)) == 0 }) })
	f.front = startFrontOn(t, l, newCrew(t, 1, echo), Options{}, change...)
	return f
}

func pattern(size int) []byte {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(i>>16) ^ byte(i>>8) ^ byte(i)
	}
	return p
}

// wantFile reads an answer with a part of a file.
func (p *peer) wantFile(status int, want []byte) *http.Response {
	p.tb.Helper()
	resp, body := p.whole("GET")
	if resp.StatusCode != status || body != string(want) {
		p.tb.Fatalf("got %d and %d bytes, want %d and %d", resp.StatusCode, len(body), status, len(want))
	}
	return resp
}

const (
	large  = 10<<20 + 17
	slowly = 1<<20 + 17 // for a client that takes little at once
)

// TestLoop_SendsFiles of every size, whole and in parts, one after another on one
// connection, and never asks net/http.
func TestLoop_SendsFiles(t *testing.T) {
	t.Parallel()
	sizes := map[string]int{"0": 0, "1": 1, "1k": 1 << 10, "128k": 128 << 10, "128k1": 128<<10 + 1, "large": large}
	f := startFiled(t, loopback(t, 0), sizes)
	f.delayLook(time.Hour) // or a page that takes long is detached
	p := f.dial("")
	for round := range 3 {
		for name, size := range sizes {
			want := pattern(size)
			p.send(get("/s/" + name))
			resp := p.wantFile(200, want)
			p.send("HEAD /s/" + name + " HTTP/1.1\r\nHost: site.test\r\n\r\n")
			if head, body := p.whole("HEAD"); head.StatusCode != 200 || body != "" || head.ContentLength != int64(size) {
				t.Errorf("HEAD of %s: got %d, %d", name, head.StatusCode, head.ContentLength)
			}
			p.send("GET /s/" + name + " HTTP/1.1\r\nHost: site.test\r\nIf-None-Match: " + resp.Header.Get("Etag") + "\r\n\r\n")
			p.wantFile(304, nil)
			if size > 1000 {
				p.send("GET /s/" + name + " HTTP/1.1\r\nHost: site.test\r\nRange: bytes=100-999\r\n\r\n" + get("/s/1"))
				p.wantFile(206, want[100:1000])
				p.wantFile(200, want[:1])
				p.send("GET /s/" + name + " HTTP/1.1\r\nHost: site.test\r\nRange: bytes=-7\r\n\r\n")
				p.wantFile(206, want[size-7:])
			}
			p.send(get("/page" + name))
			p.wantBody("/page" + name)
		}
		if round == 0 {
			f.proxy.files.Clear() // what a reload does
		}
	}
	if n := f.detached.Load(); n > 0 {
		t.Errorf("%d answers by net/http", n)
	}
	if asked, claimed, _ := f.crew.counts(); asked != 3*len(sizes) || claimed > 0 {
		t.Errorf("%d and %d requests got a worker", asked, claimed)
	}
	f.check()
}

// TestLoop_LogsFiles with what the client has got.
func TestLoop_LogsFiles(t *testing.T) {
	t.Parallel()
	f := startFiled(t, loopback(t, 0), map[string]int{"a.css": 5000})
	p := f.dial("GET /s/a.css?x HTTP/1.1\r\nHost: site.test\r\nReferer: r\r\nUser-Agent: u\r\nRange: bytes=0-99\r\n\r\n")
	p.wantFile(206, pattern(100))
	if e := <-f.entries; e.Line != "GET /s/a.css?x HTTP/1.1" || e.Status != 206 || e.Bytes != 100 || e.Worker != "" || e.Referer != "r" || e.Agent != "u" || e.Client != "127.0.0.1" || e.Took <= 0 {
		t.Errorf("got %+v", e)
	}
	p.send("HEAD /s/a.css HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")
	if resp, _ := p.whole("HEAD"); resp.Header.Get("Connection") != "close" && !resp.Close {
		t.Errorf("got %+v", resp)
	}
	p.wantClosed()
	if e := <-f.entries; e.Status != 200 || e.Bytes != 0 {
		t.Errorf("got %+v", e)
	}
	if c := f.site.Stats.Counts(); c.Total != 2 {
		t.Errorf("got %+v", c)
	}
}

// TestLoop_SlowReaderOfAFile holds no memory, counts as a request under way, and gets the
// file.
func TestLoop_SlowReaderOfAFile(t *testing.T) {
	t.Parallel()
	f := startFiled(t, loopback(t, 4<<10), map[string]int{"large": slowly}, func(s *site.Site) { s.MaxPerAddress = 2 })
	slow, other := f.narrow(get("/s/large")), f.narrow(get("/s/large"))
	until(t, "both are sent", func() bool { return f.site.Clients.Len() == 2 })
	third := f.dial(get("/page"))
	third.wantPage(http.StatusTooManyRequests)
	if n := f.proxy.store.InMemory(); n != 0 {
		t.Errorf("%d bytes in memory", n)
	}
	f.check()
	other.Close()
	until(t, "the other has left", func() bool { return f.site.Clients.Len() == 1 })
	third.send(get("/page"))
	third.wantBody("/page")
	slow.wantFile(200, pattern(slowly))
	f.wantMine(slow, true)
	f.check()
}

// TestLoop_PauseWaitsForAFile that is being sent, and Resume goes on.
func TestLoop_PauseWaitsForAFile(t *testing.T) {
	t.Parallel()
	f := startFiled(t, loopback(t, 4<<10), map[string]int{"large": slowly})
	p := f.narrow(get("/s/large"))
	if b, err := p.br.Peek(1); err != nil || b[0] != 'H' {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Pause(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("paused within an answer: %v", err)
	}
	paused := make(chan error, 1)
	go func() { paused <- f.Pause(t.Context()) }()
	p.wantFile(200, pattern(slowly))
	if err := <-paused; err != nil {
		t.Error(err)
	}
	p.send(get("/s/large"))
	f.Resume()
	p.wantFile(200, pattern(slowly))
}

// TestLoop_ClientTimeoutOfAFile: a client that takes nothing is disconnected.
func TestLoop_ClientTimeoutOfAFile(t *testing.T) {
	t.Parallel()
	f := startFiled(t, loopback(t, 4<<10), map[string]int{"large": large})
	p := f.narrow(get("/s/large"))
	if _, err := p.br.Peek(1); err != nil {
		t.Fatal(err)
	}
	f.loop.Inspect(func(v fastloop.View) { v.LookAround(time.Now().Add(59 * time.Minute)) })
	if n := f.site.Clients.Len(); n != 1 {
		t.Errorf("%d requests under way", n)
	}
	f.loop.Inspect(func(v fastloop.View) { v.LookAround(time.Now().Add(61 * time.Minute)) })
	if e := <-f.entries; e.Status != 200 || e.Bytes <= 0 || e.Bytes >= large {
		t.Errorf("got %+v", e)
	}
}

// TestLoop_FileThatIsTruncated while it is sent: the answer ends before its length.
func TestLoop_FileThatIsTruncated(t *testing.T) {
	t.Parallel()
	f := startFiled(t, loopback(t, 4<<10), map[string]int{"large": large, "small": 1000})
	p := f.narrow(get("/s/large"))
	if _, err := p.br.Peek(1); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(f.dir, "large"), 1<<20); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(p.br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) || n > 1<<20 {
		t.Errorf("got %d bytes, %v", n, err)
	}
	if e := <-f.entries; e.Bytes >= large || e.Bytes == 0 {
		t.Errorf("got %+v", e)
	}
	q := f.dial(get("/s/small"))
	q.wantFile(200, pattern(1000))
	if err := os.Truncate(filepath.Join(f.dir, "small"), 0); err != nil { // before anything is sent
		t.Fatal(err)
	}
	q.send(get("/s/small"))
	q.wantFile(200, nil)
	q.send(get("/page"))
	q.wantBody("/page")
}

// TestLoop_FileOnDisk: what is not in memory is read by a goroutine, while the loop serves
// others.
func TestLoop_FileOnDisk(t *testing.T) {
	t.Parallel()
	f := startFiled(t, loopback(t, 0), map[string]int{"large": large, "small": 1000})
	for range 5 {
		for _, name := range []string{"large", "small"} {
			evict(t, filepath.Join(f.dir, name))
		}
		p := f.dial(get("/s/large") + get("/s/small"))
		p.wantFile(200, pattern(large))
		p.wantFile(200, pattern(1000))
	}
	f.check()
	if n := f.proxy.store.InMemory(); n != 0 || f.detached.Load() > 0 {
		t.Errorf("%d bytes in memory, %d answers by net/http", n, f.detached.Load())
	}
}

// evict drops a file from the page cache.
func evict(t *testing.T, name string) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := errors.Join(file.Sync(), unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED)); err != nil {
		t.Fatal(err)
	}
}

// TestLoop_FilesOfADiskThatHangs: their requests fail in the end, and hinder nobody.
func TestLoop_FilesOfADiskThatHangs(t *testing.T) {
	t.Parallel()
	asked, free := make(chan bool, 1000), make(chan struct{})
	f := startFiled(t, loopback(t, 0), map[string]int{"a": 1000}, func(s *site.Site) {
		s.Static = []site.Static{{Prefix: "/h/", Dirs: []string{t.TempDir()}, As: func(open func()) error {
			asked <- true
			<-free
			open()
			return nil
		}}}
	})
	p, left := f.dial(get("/h/x")), f.dial(get("/h/y"))
	<-asked
	<-asked
	q := f.dial(get("/s/a"))
	q.wantFile(200, pattern(1000))
	q.send(get("/page"))
	q.wantBody("/page")
	left.Close()
	f.check()
	f.loop.Inspect(func(v fastloop.View) { v.LookAround(time.Now().Add(static.Patience - time.Second)) })
	if n := f.site.Clients.Len(); n != 2 {
		t.Errorf("%d requests under way", n)
	}
	f.loop.Inspect(func(v fastloop.View) { v.LookAround(time.Now().Add(static.Patience + time.Second)) })
	p.wantPage(http.StatusServiceUnavailable)
	close(free)
	if !strings.Contains(f.logs.String(), "limit=static") {
		t.Errorf("logged %s", f.logs.String())
	}
	p.send(get("/h/x"))
	p.wantBody("/h/x")
}

// TestServer_ClientLeavesBeforeAFileIsFound: the disk is not blamed for it.
func TestServer_ClientLeavesBeforeAFileIsFound(t *testing.T) {
	t.Parallel()
	asked, free := make(chan bool, 1), make(chan struct{})
	f := startFiled(t, loopback(t, 0), nil, func(s *site.Site) {
		s.Static = []site.Static{{Prefix: "/h/", Dirs: []string{t.TempDir()}, As: func(open func()) error {
			asked <- true
			<-free
			open()
			return nil
		}}}
	})
	defer close(free)
	p := f.dial("DELETE /h/x HTTP/1.1\r\nHost: site.test\r\n\r\n")
	<-asked
	p.Close()
	if e := <-f.entries; e.Status != site.StatusClientGone {
		t.Errorf("recorded %+v", e)
	}
	f.check()
}

// TestLoop_FilesGiveUpDescriptors: the files that are kept open are closed before a client
// is.
func TestLoop_FilesGiveUpDescriptors(t *testing.T) {
	t.Parallel()
	f := startFiled(t, loopback(t, 0), map[string]int{"a": 1000, "b": 1000})
	p := f.dial(get("/s/a") + get("/s/b"))
	p.wantFile(200, pattern(1000))
	p.wantFile(200, pattern(1000))
	if n := len(openOf(t, f.dir)); n != 2 {
		t.Errorf("%d files are kept open", n)
	}
	f.loop.Inspect(func(v fastloop.View) {
		if !v.MakeRoom() {
			t.Error("nothing was given up")
		}
	})
	until(t, "closed", func() bool { return len(openOf(t, f.dir)) == 0 })
	p.send(get("/s/a"))
	p.wantFile(200, pattern(1000))
}

// TestLoop_LargeFileIsFair: between its pieces others are served.
func TestLoop_LargeFileIsFair(t *testing.T) {
	t.Parallel()
	f := startFiled(t, loopback(t, 0), map[string]int{"small": 100})
	huge, err := os.Create(filepath.Join(f.dir, "huge"))
	if err != nil {
		t.Fatal(err)
	}
	defer huge.Close()
	if err := huge.Truncate(1 << 30); err != nil { // takes no room on the disk
		t.Fatal(err)
	}
	p, q := f.dial(get("/s/huge")), f.dial("")
	resp, err := http.ReadResponse(p.br, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got atomic.Int64
	done := make(chan error, 1)
	go func() {
		buf := make([]byte, 1<<20)
		for {
			n, err := resp.Body.Read(buf)
			got.Add(int64(n))
			if err != nil {
				done <- err
				return
			}
		}
	}()
	served := 0
	for got.Load() < 64<<20 {
		q.send(get("/s/small"))
		q.wantFile(200, pattern(100))
		served++
	}
	if served < 10 {
		t.Errorf("%d small files while 64 MB were sent", served)
	}
	p.Close()
	<-done
}
