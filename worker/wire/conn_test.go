package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// watching notes what it is asked for, and fails with err.
type watching struct {
	on, off []int
	err     error
}

func (w *watching) Watch(fd int) error { w.on = append(w.on, fd); return w.err }
func (w *watching) Unwatch(fd int)     { w.off = append(w.off, fd) }

// pair returns a connection and the other end of it.
func pair(t *testing.T) (*Conn, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c, peer := NewConn(fds[0]), os.NewFile(uintptr(fds[1]), "peer")
	t.Cleanup(c.Close)
	t.Cleanup(func() { peer.Close() })
	return c, peer
}

func wantRead(t *testing.T, from io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(from, b); string(b) != want {
		t.Errorf("got %q (%v), want %q", b[:n], err, want)
	}
}

func TestConn_SendIsWatchedOnce(t *testing.T) {
	t.Parallel()
	c, peer := pair(t)
	w := &watching{}
	for range 2 {
		if rest, err := c.Send(w, []byte("hello")); len(rest) > 0 || err != nil {
			t.Fatalf("got the rest %q, %v, want it sent", rest, err)
		}
	}
	wantRead(t, peer, "hellohello")
	if want := []int{c.FD()}; !reflect.DeepEqual(w.on, want) || w.off != nil {
		t.Errorf("watched %v and not any more %v, want %v alone", w.on, w.off, want)
	}
}

// TestConn_SendInPieces: what does not fit is returned, and nothing else is.
func TestConn_SendInPieces(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 100, 60_000, 1 << 20} {
		c, peer := pair(t)
		pieces := [][]byte{[]byte("head"), []byte(strings.Repeat("b", size)), []byte("end")}
		rest, err := c.Send(&watching{}, pieces...)
		if err != nil || (len(rest) > 0) != (size == 1<<20) {
			t.Errorf("%d bytes: got a rest of %d bytes, %v", size, len(rest), err)
		}
		c.Close()
		sent, err := io.ReadAll(peer)
		if got, want := string(sent)+string(rest), string(slices.Concat(pieces...)); got != want || err != nil {
			t.Errorf("%d bytes: %d were sent and %d are left (%v), together not what was to be sent", size, len(sent), len(rest), err)
		}
	}
}

func TestConn_SendThatFails(t *testing.T) {
	t.Parallel()
	errWatch := errors.New("no more descriptors")
	large := []byte(strings.Repeat("x", 1<<20))
	for _, test := range []struct {
		name    string
		prepare func(*Conn, *os.File, *watching)
		want    error
	}{
		{"nothing fits", func(c *Conn, _ *os.File, w *watching) { _, _ = c.Send(w, large) }, unix.EAGAIN},
		{"nobody reads", func(_ *Conn, peer *os.File, _ *watching) { peer.Close() }, unix.EPIPE},
		{"it is not watched", func(_ *Conn, _ *os.File, w *watching) { w.err = errWatch }, errWatch},
	} {
		c, peer := pair(t)
		w := &watching{}
		test.prepare(c, peer, w)
		for _, pieces := range [][][]byte{{large}, {large, large}} {
			if rest, err := c.Send(w, pieces...); len(rest) > 0 || !errors.Is(err, test.want) {
				t.Errorf("%s: got a rest of %d bytes, %v, want %v", test.name, len(rest), err, test.want)
			}
		}
	}
}

func TestConn_Read(t *testing.T) {
	t.Parallel()
	c, peer := pair(t)
	b := make([]byte, 10)
	if n, again, err := c.Read(b); n != 0 || !again || err != nil {
		t.Errorf("of nothing: got %d, %v, %v", n, again, err)
	}
	if _, err := peer.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	if n, again, err := c.Read(b); string(b[:n]) != "hello" || again || err != nil {
		t.Errorf("got %q, %v, %v", b[:n], again, err)
	}
	peer.Close()
	if n, again, err := c.Read(b); n != 0 || again || err != nil {
		t.Errorf("at the end: got %d, %v, %v", n, again, err)
	}
	c.Close()
	if n, again, err := c.Read(b); n != 0 || again || err != unix.EBADF {
		t.Errorf("of a closed one: got %d, %v, %v", n, again, err)
	}
}

// TestConn_Wait: the copy is not watched, can be waited on, and outlives the connection.
func TestConn_Wait(t *testing.T) {
	t.Parallel()
	c, peer := pair(t)
	w := &watching{}
	if err := c.Watch(w); err != nil {
		t.Fatal(err)
	}
	fd := c.FD()
	f, err := c.Wait()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if want := []int{fd}; !reflect.DeepEqual(w.off, want) {
		t.Errorf("not watched any more: %v, want %v", w.off, want)
	}
	c.Close()
	if c.Close(); c.FD() != -1 || len(w.off) != 1 {
		t.Errorf("closed: got descriptor %d, not watched any more: %v", c.FD(), w.off)
	}
	read := make(chan string)
	go func() {
		b := make([]byte, 5)
		_, _ = io.ReadFull(f, b) // b shows whether it failed
		read <- string(b)
	}()
	if _, err := peer.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	if got := <-read; got != "hello" {
		t.Errorf("got %q", got)
	}
	f.Close()
	if n, err := peer.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("with all copies closed: got %d, %v, want the end", n, err)
	}
	if _, err := c.Wait(); err == nil {
		t.Error("a closed connection was copied")
	}
}

func TestConn_CloseEndsTheWatching(t *testing.T) {
	t.Parallel()
	c, peer := pair(t)
	w := &watching{}
	if err := c.Watch(w); err != nil {
		t.Fatal(err)
	}
	fd := c.FD()
	c.Close()
	if want := []int{fd}; !reflect.DeepEqual(w.off, want) {
		t.Errorf("not watched any more: %v, want %v", w.off, want)
	}
	if n, err := peer.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("got %d, %v, want the end", n, err)
	}
}

func TestDial(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "w.sock")
	if _, err := Dial(t.Context(), path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v where there is no socket", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if _, again, err := c.Read(make([]byte, 1)); !again || err != nil {
		t.Errorf("got %v, %v, want that it does not wait", again, err)
	}
	if rest, err := c.Send(&watching{}, []byte("hello")); len(rest) > 0 || err != nil {
		t.Errorf("got the rest %q, %v", rest, err)
	}
	wantRead(t, peer, "hello")
}

func TestDup(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "w.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for name, of := range map[string]syscall.Conn{"listener": l.(*net.UnixListener), "connection": conn.(*net.UnixConn)} {
		fd, err := Dup(of)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer unix.Close(fd)
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("%s: got flags %#x (%v), want it closed at exec", name, flags, err)
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
			t.Errorf("%s: got flags %#x (%v), want it non-blocking", name, flags, err)
		}
		if name == "connection" {
			conn.Close()
			if _, err := unix.Write(fd, []byte("hello")); err != nil {
				t.Errorf("the copy has ended with the connection: %v", err)
			}
		}
	}
	if fd, err := Dup(conn.(*net.UnixConn)); err == nil || fd != -1 {
		t.Errorf("a closed connection: got %d, %v", fd, err)
	}
}
