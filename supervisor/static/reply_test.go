package static

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fileTime has a fraction of a second, which HTTP's dates do not have.
var fileTime = time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC)

// testFile makes a file of so many bytes and opens it.
func testFile(tb testing.TB, name string, size int) *File {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	text := []byte("<html>" + string(bytes.Repeat([]byte("0123456789"), size/10+1)))[:size]
	if err := os.WriteFile(path, text, 0o644); err != nil {
		tb.Fatal(err)
	}
	if err := os.Chtimes(path, fileTime, fileTime); err != nil {
		tb.Fatal(err)
	}
	opened, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	info, err := opened.Stat()
	if err != nil {
		tb.Fatal(err)
	}
	f := newFile(opened, info, about{name: name, typ: contentType(opened, name), modified: info.ModTime()}, newDisk(), "site")
	tb.Cleanup(func() { f.Release() })
	return f
}

// whole returns the answer as http.ServeContent gives it, and as ReplyTo says that it is.
func whole(tb testing.TB, f *File, method string, fields [][2]string) (want, got string, ok bool) {
	tb.Helper()
	reply, ok := f.ReplyTo(method, fields)
	if !ok {
		return "", "", false
	}
	body := reply.Body
	if reply.Length > 0 {
		part := make([]byte, reply.Length)
		if n, err := f.ReadNow(part, reply.Offset); err != nil || int64(n) != reply.Length {
			tb.Fatalf("read %d of %d: %v", n, reply.Length, err)
		}
		body = append(body, part...)
	}
	h := http.Header{}
	for _, field := range reply.Fields {
		h.Add(field[0], field[1])
	}
	got = show(reply.Status, h, body)

	w, r := httptest.NewRecorder(), httptest.NewRequest(method, "/", nil)
	for _, field := range fields {
		r.Header.Add(field[0], field[1])
	}
	BoundRanges(method, r.Header, f.Size)
	f.SetFields(w.Header())
	http.ServeContent(ending{w, f}, r, f.Name, f.Modified, bytes.NewReader(contents(tb, f)))
	resp := w.Result()
	return show(resp.StatusCode, resp.Header, w.Body.Bytes()), got, true
}

// ending lets a file correct the header.
type ending struct {
	http.ResponseWriter
	file *File
}

func (e ending) WriteHeader(status int) {
	e.file.EndFields(status, e.Header())
	e.ResponseWriter.WriteHeader(status)
}

func contents(tb testing.TB, f *File) []byte {
	tb.Helper()
	all := make([]byte, f.Size)
	if n, err := f.ReadAt(all, 0); n != len(all) {
		tb.Fatal(err)
	}
	return all
}

func show(status int, h http.Header, body []byte) string {
	var names []string
	for name, values := range h {
		names = append(names, fmt.Sprintf("%s: %q", name, values))
	}
	slices.Sort(names)
	return fmt.Sprint(status, names, len(body), fmt.Sprintf("%.80q", body))
}

// TestFile_ReplyToIsWhatNetHTTPAnswers for every combination of what a client may ask.
func TestFile_ReplyToIsWhatNetHTTPAnswers(t *testing.T) {
	t.Parallel()
	for _, f := range []*File{testFile(t, "a.css", 1000), testFile(t, "empty", 0), testFile(t, "sniffed", 7)} {
		same, other := f.ETag, `"other"`
		date, older, newer := "Fri, 02 Jan 2026 03:04:05 GMT", "Fri, 02 Jan 2026 03:04:04 GMT", "Fri, 02 Jan 2026 03:04:06 GMT"
		tags := []string{"", same, other + " , W/" + same, "*", "nonsense"}
		dates := []string{"", date, older, newer}
		ranges := []string{"", "bytes=1-", "bytes=-2", "bytes=5-3", "bytes=7-", "bytes=1000-", "BYTES=0-1", "lines=0-1"}
		n := 0
		for _, method := range []string{"GET", "HEAD"} {
			for _, c := range product(ranges, tags, dates, []string{"", same, other, date, older}, []string{"", same, other}, []string{"", date, older}) {
				var fields [][2]string
				for i, value := range c {
					if value != "" {
						fields = append(fields, [2]string{[]string{"Range", "if-none-match", "If-Modified-Since", "If-Range", "IF-MATCH", "If-Unmodified-Since"}[i], value})
					}
				}
				want, got, ok := whole(t, f, method, fields)
				if n++; !ok || got != want {
					t.Fatalf("%s of %d bytes with %q:\ngot  %s\nwant %s", method, f.Size, fields, got, want)
				}
			}
		}
		if n != 2*8*5*4*5*3*3 {
			t.Errorf("%d combinations", n)
		}
	}
}

// product returns every choice of one of each list.
func product(lists ...[]string) (all [][]string) {
	all = [][]string{nil}
	for _, list := range lists {
		var longer [][]string
		for _, begin := range all {
			for _, s := range list {
				longer = append(longer, append(slices.Clone(begin), s))
			}
		}
		all = longer
	}
	return all
}

// TestFile_ReplyToReadsAsNetHTTP what a client may write in one header.
func TestFile_ReplyToReadsAsNetHTTP(t *testing.T) {
	t.Parallel()
	f := testFile(t, "a.css", 1000)
	for name, values := range map[string][]string{
		"Range":             {"bytes=0-0", "bytes=-0", "bytes=0-99999", "bytes=999-999", "bytes= 1 - 3 ", "bytes=x", "bytes=", "0-1", "bytes=--1", "bytes=9223372036854775808-"},
		"If-None-Match":     {"W/" + f.ETag, `"`, ",," + f.ETag, f.ETag + "x", "W/", `"\x00"`},
		"If-Range":          {"W/" + f.ETag, "nonsense", `"`, "Thu, 01 Jan 1970 00:00:00 GMT"},
		"If-Modified-Since": {"nonsense", "Friday, 02-Jan-26 03:04:05 GMT", "Fri Jan  2 03:04:05 2026"},
	} {
		for _, value := range values {
			fields := [][2]string{{name, value}}
			if name != "Range" {
				fields = append(fields, [2]string{"Range", "bytes=2-5"})
			}
			if want, got, ok := whole(t, f, "GET", fields); !ok || got != want {
				t.Errorf("%q:\ngot  %s\nwant %s", fields, got, want)
			}
		}
	}
}

func FuzzFile_ReplyTo(f *testing.F) {
	f.Add("bytes=0-5", `"a"`, "Fri, 02 Jan 2026 03:04:05 GMT", `W/"b"`, "*", "x", false)
	file := testFile(f, "fuzz", 300)
	f.Fuzz(func(t *testing.T, ranges, none, since, ifRange, match, unmodified string, head bool) {
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		fields := [][2]string{{"Range", ranges}, {"If-None-Match", none}, {"If-Modified-Since", since}, {"If-Range", ifRange}, {"If-Match", match}, {"If-Unmodified-Since", unmodified}}
		if want, got, ok := whole(t, file, method, fields); ok && got != want {
			t.Errorf("%s %q:\ngot  %s\nwant %s", method, fields, got, want)
		}
	})
}

func TestFile_ReplyToLeavesSeveralRanges(t *testing.T) {
	t.Parallel()
	f := testFile(t, "a.txt", 100_000)
	for ranges, want := range map[string]bool{"bytes=0-1,5-6": false, "bytes=0-1": true, "bytes=0-1,": false, "lines=0-1,5-6": true} {
		if _, ok := f.ReplyTo("GET", [][2]string{{"Range", ranges}}); ok != want {
			t.Errorf("%s: got %v", ranges, ok)
		}
	}
	if r, ok := f.ReplyTo("HEAD", [][2]string{{"Range", "bytes=0-1,5-6"}}); !ok || r.Status != 200 || r.Length != 0 {
		t.Errorf("HEAD: got %+v, %v", r, ok)
	}
	if r, ok := f.ReplyTo("GET", [][2]string{{"Range", "bytes=0-1"}, {"Range", "bytes=0-1"}}); !ok || r.Status != 200 {
		t.Errorf("two headers: got %+v, %v", r, ok)
	}
}

// TestFile_SendTo sends what is in memory, a window at most, and never waits for a disk.
func TestFile_SendTo(t *testing.T) {
	t.Parallel()
	f := testFile(t, "large", window+1000)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	if err := unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20); err != nil {
		t.Fatal(err)
	}
	got, p := []byte(nil), make([]byte, 1<<20)
	if n, err := f.SendTo(pair[0], []byte("head"), 100, 1000); err == ErrMustWait && !f.now.Load() {
		t.Skip("this file system cannot say what is in memory")
	} else if n != 1004 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	if n, err := f.SendTo(pair[0], nil, window-10, 1000); n != 10 || err != nil {
		t.Fatalf("to the end of the window: got %d, %v", n, err)
	}
	if n, err := f.SendTo(pair[0], nil, window, 5000); n != 1000 || err != nil {
		t.Fatalf("to the end of the file: got %d, %v", n, err)
	}
	for len(got) < 2014 {
		n, err := unix.Read(pair[1], p)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p[:n]...)
	}
	all := contents(t, f)
	if want := slices.Concat([]byte("head"), all[100:1100], all[window-10:]); !bytes.Equal(got, want) {
		t.Error("other bytes came")
	}
	wantWholeHead(t, f, pair)
	evict(t, f)
	if err := unix.Ftruncate(f.fd, 0); err == nil {
		t.Error("the file is open for writing")
	}
	if n, err := f.SendTo(pair[0], []byte("head"), 0, 1000); n != 0 || err != ErrMustWait {
		t.Errorf("from the disk: got %d, %v", n, err)
	}
	if err := os.Truncate(f.os.Name(), 10); err != nil {
		t.Fatal(err)
	}
	f.seen[1].Store(time.Now().Add(time.Hour).UnixNano())
	if n, err := f.SendTo(pair[0], nil, window, 10); n != 0 || err == nil {
		t.Errorf("truncated: got %d, %v", n, err)
	}
}

// wantWholeHead checks that nothing of the file goes out before all of its head has.
func wantWholeHead(t *testing.T, f *File, pair [2]int) {
	t.Helper()
	head, p := bytes.Repeat([]byte("h"), 8<<20), make([]byte, 1<<20)
	n, err := f.SendTo(pair[0], head, 0, 1000)
	if n <= 0 || n >= len(head) || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	if more, err := f.SendTo(pair[0], head[n:], 0, 1000); more != 0 || err != unix.EAGAIN {
		t.Errorf("got %d, %v where nothing fits", more, err)
	}
	for got := 0; got < n; {
		more, err := unix.Read(pair[1], p)
		if err != nil || bytes.Trim(p[:more], "h") != nil {
			t.Fatalf("got %d bytes, %v", more, err)
		}
		got += more
	}
}

// TestFile_ReadNowDoesNotWait: what is not in memory is not read from the disk.
func TestFile_ReadNowDoesNotWait(t *testing.T) {
	t.Parallel()
	f := testFile(t, "large", 1<<20)
	p := make([]byte, 1<<20)
	if n, err := f.ReadNow(p, 0); err == ErrMustWait && !f.now.Load() {
		t.Skip("this file system cannot say what is in memory")
	} else if n == 0 {
		t.Fatalf("a new file: %v", err)
	}
	evict(t, f)
	if n, err := f.ReadNow(p, 0); n != 0 || err != ErrMustWait {
		t.Errorf("from the disk: %d bytes, %v", n, err)
	}
	if n, err := f.ReadAt(p, 0); n != len(p) {
		t.Errorf("got %d, %v", n, err)
	}
	if n, err := f.ReadNow(p, 0); n == 0 || !bytes.Equal(p[:n], contents(t, f)[:n]) {
		t.Errorf("after it was read: %d bytes, %v", n, err)
	}
	if n, err := f.ReadNow(p, 1<<20); n != 0 || err == nil || err == ErrMustWait {
		t.Errorf("behind the end: %d bytes, %v", n, err)
	}
}
