package static

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/multisite/multisite/supervisor/coding"
)

// TestFiles_EncodeOnce what many ask for at once, and keep it over a reload.
func TestFiles_EncodeOnce(t *testing.T) {
	withFiles(t, func(t *testing.T, f *Files) {
		s, dir := newSite(t, "site")
		write(t, filepath.Join(dir, "a.css"), strings.Repeat("a", 5000))
		var mu sync.Mutex
		seen := map[*File]int{}
		ask := func() {
			found, err := f.Wait(t.Context(), s, Wanted{Path: "/s/a.css", Accept: "gzip"})
			if err != nil || found.File == nil || !found.File.InMemory() {
				t.Errorf("got %+v, %v", found, err)
				return
			}
			mu.Lock()
			seen[found.File]++
			mu.Unlock()
			found.Release()
		}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(ask)
		}
		wg.Wait()
		f.Clear()
		ask()
		if len(seen) != 1 || len(f.making) != 0 {
			t.Errorf("encoded %d times, %d are under way", len(seen), len(f.making))
		}
		write(t, filepath.Join(dir, "a.css"), strings.Repeat("b", 6000))
		time.Sleep(freshFor)
		ask()
		if len(seen) != 2 {
			t.Error("a changed file is sent as it was")
		}
		time.Sleep(2 * madeIdleFor)
		synctest.Wait()
		if len(f.made) != 0 || f.madeBytes != 0 || len(f.madeOf) != 0 || f.sweeper != nil {
			t.Errorf("%d are kept, of %d bytes, after nobody has asked", len(f.made), f.madeBytes)
		}
	})
}

// TestFiles_KeepLittleEncoded of each site, and of all.
func TestFiles_KeepLittleEncoded(t *testing.T) {
	t.Parallel()
	f := New()
	keep := func(site string, n, size int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		var file *File
		if size > 0 {
			file = &File{Size: int64(size)}
		}
		f.keepMadeLocked(madeKey{site, identity{ino: uint64(n)}, coding.Gzip}, file)
		f.made[madeKey{site, identity{ino: uint64(n)}, coding.Gzip}].used = time.Unix(int64(n), 0)
	}
	keep("other", 0, 1<<20)
	for n := range 40 {
		keep("site", n, 1<<20)
	}
	if f.madeOf["site"] != maxMadeOfSite || f.madeOf["other"] != 1<<20 || f.made[madeKey{"site", identity{ino: 39}, coding.Gzip}] == nil {
		t.Errorf("got %v", f.madeOf)
	}
	for n := range 20 {
		keep(fmt.Sprint("site", n), n, maxEncoded)
	}
	if f.madeBytes > maxMade {
		t.Errorf("%d bytes are kept", f.madeBytes)
	}
	for n := range maxMadeNoted + 10 {
		keep("site", n, 0)
	}
	sum := int64(0)
	for _, size := range f.madeOf {
		sum += size
	}
	if len(f.made) > maxMadeNoted || sum != f.madeBytes {
		t.Errorf("%d are noted, %d of %d bytes counted", len(f.made), sum, f.madeBytes)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sweeper.Stop()
}

// TestFiles_EncodeFewAtOnce: the rest is sent as it is.
func TestFiles_EncodeFewAtOnce(t *testing.T) {
	withFiles(t, func(t *testing.T, f *Files) {
		s, dir := newSite(t, "site")
		write(t, filepath.Join(dir, "a.css"), strings.Repeat("a", 5000))
		for n := range maxMaking {
			f.making[madeKey{"hung", identity{ino: uint64(n)}, coding.Gzip}] = nil
		}
		found, err := f.Wait(t.Context(), s, Wanted{Path: "/s/a.css", Accept: "gzip"})
		if err != nil || found.File == nil || found.File.InMemory() {
			t.Errorf("got %+v, %v", found, err)
		}
		found.Release()
		clear(f.making)
	})
}
