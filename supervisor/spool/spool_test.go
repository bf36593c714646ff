package spool

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

// spoolReader reads a spool as copySpool does.
type spoolReader struct {
	s     *Spool
	idled int
}

func (r *spoolReader) Read(p []byte) (int, error) {
	got, err := r.s.Next(func() { r.idled++ })
	n := copy(p, got)
	if n > 0 {
		r.s.Take(n)
	}
	return n, err
}

func testSpool(t *testing.T) *Spool {
	dir := t.TempDir()
	s := NewStore(dir).NewSpool()
	t.Cleanup(func() {
		s.Close()
		if n := s.store.InMemory(); n != 0 {
			t.Errorf("%d bytes of memory were not given back", n)
		}
		checkNoFiles(t, dir)
	})
	return s
}

func (s *Spool) add(t *testing.T, text string) {
	t.Helper()
	if n, err := s.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("Write: got %d, %v", n, err)
	}
}

func (s *Spool) want(t *testing.T, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(&spoolReader{s: s}, got); err != nil || string(got) != want {
		t.Fatalf("got %.20q, %v, want %.20q", got, err, want)
	}
}

func fileSize(t *testing.T, s *Spool) int64 {
	t.Helper()
	info, err := s.file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// TestSpool_UsesAFileForWhatIsTooMuch goes from memory to the file and back.
func TestSpool_UsesAFileForWhatIsTooMuch(t *testing.T) {
	t.Parallel()
	s := testSpool(t)
	full := strings.Repeat("m", AnswerMemory)
	s.add(t, full)
	if s.file != nil {
		t.Error("a file for what fits in memory")
	}
	s.add(t, "first")
	s.want(t, full[1:])
	s.add(t, "second") // there is room in memory, but it is not this one's turn
	if got := fileSize(t, s); got != 11 {
		t.Errorf("the file has %d bytes, want 11", got)
	}
	if names, _ := os.ReadDir(s.store.dir); len(names) > 0 {
		t.Errorf("the file has a name: %v", names)
	}
	s.want(t, "mfirst")
	s.want(t, "second")
	if got := fileSize(t, s); got != 0 {
		t.Errorf("the file still has %d bytes", got)
	}
	s.add(t, "third")
	if got := fileSize(t, s); got != 0 {
		t.Errorf("%d bytes in the file, want them in memory", got)
	}
	s.add(t, full)
	if got := fileSize(t, s); got != AnswerMemory {
		t.Errorf("the file has %d bytes: it does not begin anew", got)
	}
	s.want(t, "third"+full)
}

func TestSpool_EndsAsTheWriterEnded(t *testing.T) {
	t.Parallel()
	for _, end := range []error{nil, errDied} {
		s := testSpool(t)
		s.add(t, strings.Repeat("x", AnswerMemory+1))
		s.Finish(end)
		n, err := io.Copy(io.Discard, &spoolReader{s: s})
		if n != AnswerMemory+1 || err != end {
			t.Errorf("got %d bytes, %v, want %v", n, err, end)
		}
	}
}

func TestSpool_IdlesOnceBeforeItWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := testSpool(t)
		s.add(t, "hello")
		r := &spoolReader{s: s}
		p := make([]byte, 10)
		if n, err := r.Read(p); n != 5 || err != nil || r.idled != 0 {
			t.Errorf("got %d, %v, idled %d times", n, err, r.idled)
		}
		read := make(chan int)
		go func() {
			n, _ := r.Read(p)
			read <- n
		}()
		synctest.Wait()
		if r.idled != 1 {
			t.Errorf("idled %d times before it waits, want 1", r.idled)
		}
		s.mu.Lock()
		s.cond.Broadcast() // for nothing
		s.mu.Unlock()
		synctest.Wait()
		s.add(t, "more")
		if n := <-read; n != 4 || r.idled != 1 {
			t.Errorf("got %d bytes, idled %d times", n, r.idled)
		}
	})
}

func TestSpool_CancelEndsBothSides(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := testSpool(t)
		read := make(chan error)
		go func() {
			_, err := (&spoolReader{s: s}).Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		s.Cancel()
		if err := <-read; err != ErrCancelled {
			t.Errorf("read: got %v", err)
		}
		if _, err := s.Write([]byte("x")); err != ErrCancelled {
			t.Errorf("write: got %v", err)
		}
	})
}

// TestSpool_HoldsAWriterFarAhead fakes a file that is over the limit.
func TestSpool_HoldsAWriterFarAhead(t *testing.T) {
	t.Parallel()
	for _, leave := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := testSpool(t)
			if err := s.openLocked(); err != nil {
				t.Fatal(err)
			}
			s.to = maxFile + 10*AnswerMemory
			if err := s.file.Truncate(s.to); err != nil {
				t.Fatal(err)
			}
			wrote := make(chan error, 1)
			go func() {
				_, err := s.Write([]byte("x"))
				wrote <- err
			}()
			for range 10 {
				synctest.Wait()
				if len(wrote) > 0 {
					t.Error("written over the limit")
				}
				if leave {
					s.Cancel()
					break
				}
				s.want(t, strings.Repeat("\x00", AnswerMemory))
			}
			if err := <-wrote; (err == nil) == leave {
				t.Errorf("left %v: got %v", leave, err)
			}
		})
	}
}

func TestSpool_ReportsADiskThatFails(t *testing.T) {
	t.Parallel()
	s := testSpool(t)
	if err := s.openLocked(); err != nil {
		t.Fatal(err)
	}
	s.file.Close()
	s.from, s.to = 0, 1
	if _, err := (&spoolReader{s: s}).Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// TestSpool_KeepsTheOrder has both sides run at once, in pieces of any size. The
// reader sometimes waits until the writer is far ahead.
func TestSpool_KeepsTheOrder(t *testing.T) {
	t.Parallel()
	const size = 20 << 20
	s := testSpool(t)
	ahead := make(chan struct{}, size) // more than there are pieces
	go func() {
		dice := rand.New(rand.NewPCG(1, 2))
		in := random(size)
		for err := error(nil); err == nil; {
			_, err = io.CopyN(s, in, dice.Int64N(3*AnswerMemory))
			ahead <- struct{}{}
		}
		close(ahead)
		s.Finish(nil)
	}()
	dice := rand.New(rand.NewPCG(3, 4))
	slow := readerFunc(func(p []byte) (int, error) {
		if dice.IntN(20) == 0 {
			<-ahead
		}
		return (&spoolReader{s: s}).Read(p[:dice.IntN(len(p))+1])
	})
	if got, want := sum(t, slow), sum(t, random(size)); got != want {
		t.Errorf("got sha256 %s, want %s", got, want)
	}
}

// TestSpool_WithoutADisk holds the worker up instead of cutting its answer.
func TestSpool_WithoutADisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(filepath.Join(t.TempDir(), "nosuch")).NewSpool()
		text := strings.Repeat("0123456789", AnswerMemory/3)
		wrote := make(chan struct{})
		go func() {
			defer close(wrote)
			for rest := text; rest != ""; {
				n, err := s.Write([]byte(rest[:min(len(rest), 1000)]))
				if err != nil {
					t.Error(err)
					break
				}
				rest = rest[n:]
			}
			s.Finish(nil)
		}()
		synctest.Wait()
		select {
		case <-wrote:
			t.Error("the writer did not wait")
		default:
		}
		if got := s.end - s.start; got != AnswerMemory {
			t.Errorf("%d bytes in memory, want %d", got, AnswerMemory)
		}
		if got, err := io.ReadAll(&spoolReader{s: s}); string(got) != text || err != nil {
			t.Errorf("read %d bytes of %d, %v", len(got), len(text), err)
		}
		<-wrote
	})
}

// TestSpool_WithoutMemory goes on where there is neither memory nor a file.
func TestSpool_WithoutMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := emptyStore(t.TempDir() + "/nosuch").NewSpool()
		text := readAll(t, random(10*minMemory))
		go func() {
			_, err := s.Write([]byte(text))
			s.Finish(err)
		}()
		if got := readAll(t, &spoolReader{s: s}); got != text {
			t.Errorf("got %d other bytes", len(got))
		}
		s.Close()
	})
}

// emptyStore returns a store without memory.
func emptyStore(dir string) *Store {
	s := NewStore(dir)
	s.SetMax(0)
	return s
}
