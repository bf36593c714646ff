package static

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/site"
)

// evict drops a file from the page cache.
func evict(t *testing.T, f *File) {
	t.Helper()
	if err := errors.Join(unix.Fsync(f.fd), unix.Fadvise(f.fd, 0, 0, unix.FADV_DONTNEED)); err != nil {
		t.Fatal(err)
	}
}

// newSite makes a site with one directory of files.
func newSite(t *testing.T, name string, files ...string) (*site.Site, string) {
	t.Helper()
	dir := t.TempDir()
	for _, file := range files {
		write(t, filepath.Join(dir, file), file)
	}
	return &site.Site{Name: name, Static: []site.Static{{Prefix: "/s/", Dirs: []string{dir}}}}, dir
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// withFiles runs a test with a clock that moves only when everything waits, and checks
// that nothing is left open.
func withFiles(t *testing.T, test func(t *testing.T, f *Files)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := New()
		test(t, f)
		f.Clear()
		synctest.Wait()
		if f.open != 0 || len(f.disk.sites) != 0 || f.sweeper != nil {
			t.Errorf("%d files are open, %d sites are busy", f.open, len(f.disk.sites))
		}
	})
}

// text returns what is served for a path now.
func text(t *testing.T, f *Files, s *site.Site, path string) string {
	t.Helper()
	found, err := f.Wait(t.Context(), s, Wanted{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer found.Release()
	switch {
	case found.File != nil:
		return string(contents(t, found.File))
	case found.Only:
		return "only"
	}
	return ""
}

// TestFiles_NoticesEveryChange that a second has passed since.
func TestFiles_NoticesEveryChange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(dir string) error
		want   string
	}{
		{"nothing", func(string) error { return nil }, "a.css"},
		{"written again, same size and time", func(dir string) error {
			old, err := os.Stat(dir + "/a.css")
			return errors.Join(err, os.WriteFile(dir+"/a.css", []byte("b.css"), 0o644), os.Chtimes(dir+"/a.css", old.ModTime(), old.ModTime()))
		}, "b.css"},
		{"longer", func(dir string) error { return os.WriteFile(dir+"/a.css", []byte("longer"), 0o644) }, "longer"},
		{"replaced", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/new", []byte("new"), 0o644), os.Rename(dir+"/new", dir+"/a.css"))
		}, "new"},
		{"removed", func(dir string) error { return os.Remove(dir + "/a.css") }, ""},
		{"a directory", func(dir string) error { return errors.Join(os.Remove(dir+"/a.css"), os.Mkdir(dir+"/a.css", 0o755)) }, ""},
		{"a link to another", func(dir string) error {
			return errors.Join(os.WriteFile(dir+"/new", []byte("new"), 0o644), os.Remove(dir+"/a.css"), os.Symlink("new", dir+"/a.css"))
		}, "new"},
		{"a link that leads out", func(dir string) error {
			return errors.Join(os.Remove(dir+"/a.css"), os.Symlink("/etc/passwd", dir+"/a.css"))
		}, ""},
		{"its directory leads elsewhere", func(dir string) error {
			return errors.Join(os.Rename(dir, dir+".old"), os.Symlink("/etc", dir))
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			withFiles(t, func(t *testing.T, f *Files) {
				s, dir := newSite(t, "site", "a.css")
				if got := text(t, f, s, "/s/a.css"); got != "a.css" {
					t.Fatalf("got %q", got)
				}
				if err := test.change(dir); err != nil {
					t.Fatal(err)
				}
				time.Sleep(freshFor)
				if found, ok := f.Cached(s, Wanted{Path: "/s/a.css"}); ok {
					found.Release()
					t.Error("what is a second old still counts")
				}
				for range 2 { // when it is looked up, and from what is kept then
					if got := text(t, f, s, "/s/a.css"); got != test.want {
						t.Errorf("got %q, want %q", got, test.want)
					}
				}
			})
		})
	}
}

// TestFiles_NoticesWhatComes: a file that was not there, or in another directory.
func TestFiles_NoticesWhatComes(t *testing.T) {
	withFiles(t, func(t *testing.T, f *Files) {
		s, second := newSite(t, "site", "both.css")
		first := t.TempDir()
		s.Static = []site.Static{{Prefix: "/s/", Dirs: []string{first, second}}, {Prefix: "/o/", Dirs: []string{second}, Only: true}}
		for path, want := range map[string]string{"/s/both.css": "both.css", "/s/new.css": "", "/o/only.css": "only"} {
			if got := text(t, f, s, path); got != want {
				t.Errorf("%s: got %q, want %q", path, got, want)
			}
		}
		for _, name := range []string{"both.css", "new.css"} {
			write(t, filepath.Join(first, name), "first")
		}
		write(t, filepath.Join(second, "only.css"), "there")
		time.Sleep(freshFor)
		for path, want := range map[string]string{"/s/both.css": "first", "/s/new.css": "first", "/o/only.css": "there"} {
			if got := text(t, f, s, path); got != want {
				t.Errorf("%s: got %q, want %q", path, got, want)
			}
		}
	})
}

// TestFiles_AreOpenedOnce while they are fresh, and looked up again before they are old.
func TestFiles_AreOpenedOnce(t *testing.T) {
	withFiles(t, func(t *testing.T, f *Files) {
		s, _ := newSite(t, "site", "a.css")
		opened := make(chan bool, 100)
		s.Static[0].As = func(open func()) error {
			opened <- true
			open()
			return nil
		}
		var wg sync.WaitGroup
		gate := make(chan struct{})
		for range 20 {
			wg.Go(func() {
				<-gate
				text(t, f, s, "/s/a.css")
			})
		}
		close(gate)
		wg.Wait()
		if len(opened) != 1 {
			t.Errorf("opened %d times", len(opened))
		}
		time.Sleep(renewFrom + 1)
		found, ok := f.Cached(s, Wanted{Path: "/s/a.css"})
		if !ok || found.File == nil {
			t.Fatalf("got %v, %v", found, ok)
		}
		before := found.File
		found.Release()
		<-opened
		<-opened
		synctest.Wait()
		time.Sleep(renewFrom)
		if found, ok = f.Cached(s, Wanted{Path: "/s/a.css"}); !ok || found.File != before {
			t.Errorf("after it was looked up again: %v, %v", found, ok)
		}
		found.Release()
	})
}

// TestFiles_AreOfOneSite: the next site of the same directory, and the same site after a
// reload, look for themselves.
func TestFiles_AreOfOneSite(t *testing.T) {
	withFiles(t, func(t *testing.T, f *Files) {
		mine, _ := newSite(t, "mine", "a.css")
		text(t, f, mine, "/s/a.css")
		refused := *mine
		refused.Name = "theirs"
		refused.Static = slices.Clone(mine.Static)
		refused.Static[0].As = func(func()) error { return os.ErrPermission }
		if _, ok := f.Cached(&refused, Wanted{Path: "/s/a.css"}); ok {
			t.Error("another site sees what was found")
		}
		if got := text(t, f, &refused, "/s/a.css"); got != "" {
			t.Errorf("another site without rights gets %q", got)
		}
		reloaded := *mine
		if _, ok := f.Cached(&reloaded, Wanted{Path: "/s/a.css"}); ok {
			t.Error("a reload keeps what was found")
		}
		if got := text(t, f, mine, "/s/a.css"); got != "a.css" {
			t.Errorf("got %q", got)
		}
		f.Clear()
		if _, ok := f.Cached(mine, Wanted{Path: "/s/a.css"}); ok {
			t.Error("Clear keeps what was found")
		}
	})
}

// TestFiles_NoticesLostRights: those of the site's user.
func TestFiles_NoticesLostRights(t *testing.T) {
	withFiles(t, func(t *testing.T, f *Files) {
		s, _ := newSite(t, "site", "a.css")
		var refuse atomic.Bool
		s.Static[0].As = func(open func()) error {
			if refuse.Load() {
				return os.ErrPermission
			}
			open()
			return nil
		}
		if got := text(t, f, s, "/s/a.css"); got != "a.css" {
			t.Fatalf("got %q", got)
		}
		refuse.Store(true)
		time.Sleep(freshFor)
		if got := text(t, f, s, "/s/a.css"); got != "" {
			t.Errorf("got %q", got)
		}
	})
}

// TestFiles_KeepFewOpen and give them up.
func TestFiles_KeepFewOpen(t *testing.T) {
	withFiles(t, func(t *testing.T, f *Files) {
		names := strings.Split("a b c d e f g h i j k l", " ")
		s, dir := newSite(t, "site", names...)
		f.most = 4
		for _, name := range names {
			if got := text(t, f, s, "/s/"+name); got != name {
				t.Errorf("got %q", got)
			}
		}
		if n := countOpen(t, dir); f.open != 4 || n > 4+diskTurns {
			t.Errorf("%d are kept, %d descriptors are open", f.open, n)
		}
		if !f.GiveUp() || f.GiveUp() || f.open != 0 {
			t.Errorf("%d are kept", f.open)
		}
		if got := text(t, f, s, "/s/a"); got != "a" || f.open != 0 {
			t.Errorf("got %q, %d are kept while descriptors are short", got, f.open)
		}
		synctest.Wait()
		if n := countOpen(t, dir); n > 0 {
			t.Errorf("%d descriptors are open", n)
		}
	})
}

func TestFiles_ForgetsNamesThatAreNotThere(t *testing.T) {
	withFiles(t, func(t *testing.T, f *Files) {
		s, _ := newSite(t, "site")
		for i := range maxEntries + 100 {
			f.mu.Lock()
			f.keepLocked(key{s, nil, "/s/" + strings.Repeat("x", i%maxPath) + string(rune(i))}, located{}, time.Now())
			f.mu.Unlock()
		}
		if n := len(f.entries); n > maxEntries {
			t.Errorf("%d entries", n)
		}
		text(t, f, s, "/s/"+strings.Repeat("y", maxPath))
		if _, ok := f.Cached(s, Wanted{Path: "/s/" + strings.Repeat("y", maxPath)}); ok {
			t.Error("a long path is kept")
		}
	})
}

// TestFiles_CloseWhatNobodyAsksFor while a file that is being sent stays open.
func TestFiles_CloseWhatNobodyAsksFor(t *testing.T) {
	withFiles(t, func(t *testing.T, f *Files) {
		s, dir := newSite(t, "site", "a.css", "b.css")
		text(t, f, s, "/s/a.css")
		found, err := f.Wait(t.Context(), s, Wanted{Path: "/s/b.css"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * idleFor)
		synctest.Wait()
		if len(f.entries) != 0 || f.sweeper != nil {
			t.Errorf("%d entries, sweeps: %v", len(f.entries), f.sweeper != nil)
		}
		if got := string(contents(t, found.File)); got != "b.css" {
			t.Errorf("got %q", got)
		}
		found.Release()
		synctest.Wait()
		if n := countOpen(t, dir); n > 0 {
			t.Errorf("%d descriptors are open", n)
		}
	})
}

// TestFiles_DiskThatHangs takes few goroutines, and hinders no other site.
func TestFiles_DiskThatHangs(t *testing.T) {
	withFiles(t, func(t *testing.T, f *Files) {
		hung, _ := newSite(t, "hung", "a")
		quick, _ := newSite(t, "quick", "a")
		var inside atomic.Int64
		free := make(chan struct{})
		hung.Static[0].As = func(open func()) error {
			inside.Add(1)
			<-free
			open()
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 100 {
			ctx, want := ctx, context.Canceled
			if i%2 == 0 {
				ctx, want = t.Context(), ErrSlow
			}
			wg.Go(func() {
				if _, err := f.Wait(ctx, hung, Wanted{Path: "/s/" + strings.Repeat("a", i+1)}); err != want {
					t.Errorf("got %v, want %v", err, want)
				}
			})
		}
		synctest.Wait()
		if got := text(t, f, quick, "/s/a"); got != "a" {
			t.Errorf("got %q", got)
		}
		cancel()
		wg.Wait()
		if n := inside.Load(); n != diskTurns {
			t.Errorf("%d lookups at once", n)
		}
		close(free)
	})
}

// countOpen returns how many descriptors of what is below dir are open.
func countOpen(t *testing.T, dir string) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if name, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(name, dir+"/") {
			n++
		}
	}
	return n
}

// TestFiles_AreOpenedAsTheSite: without the rights of the site's user nothing is.
func TestFiles_AreOpenedAsTheSite(t *testing.T) {
	withFiles(t, func(t *testing.T, f *Files) {
		s, _ := newSite(t, "site", "a.css")
		inside := false
		s.Static[0].As = func(open func()) error {
			before := f.open
			inside = true
			open()
			inside = false
			if f.open != before {
				t.Error("more than opening is done with the site's rights")
			}
			return nil
		}
		if got := text(t, f, s, "/s/a.css"); got != "a.css" || inside {
			t.Errorf("got %q", got)
		}
		s.Static[0].As = func(func()) error { return nil } // does not open it
		f.Clear()
		if got := text(t, f, s, "/s/a.css"); got != "" {
			t.Errorf("opened without the site's rights: %q", got)
		}
	})
}
