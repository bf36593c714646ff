package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/journal"
	"golang.org/x/sys/unix"
)

// TestFault_DiskFull (E12): the disk of logs, journal and spool is full. Requests that need
// no disk are served, and everything works again when there is room.
func TestFault_DiskFull(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, pythonSites+"processes = 2\n"+subdomain1))
	r.smallDisk()
	r.start()
	t.Cleanup(r.finish)
	load := r.startLoad(host1, 4, "", "/hello/", "/probe/sleep/?ms=20")
	free := r.fillDisk()

	r.get(host1, "/probe/say/?text="+strings.Repeat("lost", 2000)) // there may be room in the last page of the file
	deaths := len(r.pids("subdomain1"))
	for n := range deaths {
		kill(t, r.busyWorker("subdomain1"))
		r.recovered("subdomain1", n+1, 4)
	}
	r.must("restart", "subdomain1")
	body := bytes.Repeat([]byte("0123456789abcde\n"), 1<<16)
	upload := func() int {
		a, err := r.newVisitor().do(newRequest(t, http.MethodPost, host1, "/probe/echo/", bytes.NewReader(body)))
		if err != nil {
			t.Error(err)
		}
		return a.status
	}
	start := time.Now()
	if status := upload(); status != http.StatusInternalServerError {
		t.Errorf("a body that is too large for memory: status %d, want 500", status)
	}
	t.Logf("a body that is too large for memory was refused after %v", time.Since(start))
	r.slowDownload(8 << 20)
	if log := r.log.String(); strings.Count(log, "log lines are lost") != 1 || strings.Count(log, "journal drops events") > 1 ||
		!regexp.MustCompile(`msg="request failed" status=500 limit=spool .*no space left on device`).MatchString(log) {
		t.Errorf("the console has not one warning, and the failed request:\n%s", log)
	}

	free()
	r.get(host1, "/probe/say/?text=found")
	eventually(t, "the log to continue", func() bool { return strings.Contains(r.siteLog("subdomain1"), "stdout: found\n") })
	if log := r.siteLog("subdomain1"); !regexp.MustCompile(`msg="lines of this log were lost: [^"]*" lines=\d+\n`).MatchString(log) {
		t.Errorf("the log does not say that lines are missing:\n%s", log)
	}
	if status := upload(); status != 200 {
		t.Errorf("a large body afterwards: status %d", status)
	}
	r.must("restart", "subdomain1")
	load.stop()
	r.wantJournalled("restart")
}

// smallDisk puts the state directory on a file system of its own.
func (r *running) smallDisk() {
	r.t.Helper()
	dir := filepath.Join(r.dir, ".multisite")
	if err := os.Mkdir(dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=8m,mode=700"); err != nil {
		r.t.Skipf("mount a small disk, which takes root: %v", err)
	}
	r.t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			r.t.Error(err)
		}
	})
}

// fillDisk fills the disk to the last byte, until free is called.
func (r *running) fillDisk() (free func()) {
	r.t.Helper()
	path := filepath.Join(r.dir, ".multisite", "ballast")
	f, err := os.Create(path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, unix.ENOSPC) {
			r.t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			r.t.Fatal(err)
		}
	}
}

// slowDownload reads an answer that is far larger than the memory for it, more slowly
// than it is produced.
func (r *running) slowDownload(size int64) {
	r.t.Helper()
	resp, err := r.newVisitor().http.Do(newRequest(r.t, http.MethodGet, host1, "/probe/big/?mb=8", nil))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	taken := int64(0)
	for {
		n, err := io.CopyN(io.Discard, resp.Body, 1<<20)
		if taken += n; errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.t.Fatalf("after %d bytes: %v", taken, err)
		}
		<-time.After(20 * time.Millisecond) // a slow line
	}
	if taken != size {
		r.t.Errorf("%d bytes, want %d", taken, size)
	}
}

// wantJournalled waits until the journal records an exit again after it has lost some.
func (r *running) wantJournalled(reason string) {
	r.t.Helper()
	now := time.Now()
	eventually(r.t, "the journal to continue", func() bool {
		j, err := journal.Open(filepath.Join(r.dir, ".multisite", "journal.db"), journal.Options{})
		if err != nil {
			r.t.Fatal(err)
		}
		defer j.Close()
		events, err := j.Events(r.t.Context(), journal.Filter{Site: "subdomain1", Limit: 10})
		if err != nil {
			r.t.Fatal(err)
		}
		for _, e := range events {
			if e.Reason == reason && now.Sub(e.Time) < 10*time.Second {
				return true
			}
		}
		return false
	})
}
