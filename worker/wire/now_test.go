package wire

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNow does what read, write and writev do.
func TestNow(t *testing.T) {
	t.Parallel()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	got := make([]byte, 8<<10)
	if n, err := ReadNow(fds[0], got); n != -1 || err != unix.EAGAIN {
		t.Errorf("got %d (%v), want %v", n, err, unix.EAGAIN)
	}
	many := make([][]byte, 2*maxVectors)
	for i := range many {
		many[i] = []byte{byte(i), byte(i >> 8)}
	}
	for _, test := range []struct {
		name   string
		pieces [][]byte
		want   []byte
	}{
		{"one", [][]byte{[]byte("one")}, []byte("one")},
		{"empty ones", [][]byte{nil, []byte("a"), {}, []byte("bc"), nil}, []byte("abc")},
		{"twenty", many[:20], bytes.Join(many[:20], nil)},
		{"more than the kernel takes", many, bytes.Join(many[:maxVectors], nil)},
	} {
		if n, err := WritevNow(fds[1], test.pieces); n != len(test.want) || err != nil {
			t.Fatalf("%s: wrote %d (%v), want %d", test.name, n, err, len(test.want))
		}
		if n, err := ReadNow(fds[0], got); err != nil || !bytes.Equal(got[:max(n, 0)], test.want) {
			t.Fatalf("%s: read %d (%v), want %d", test.name, n, err, len(test.want))
		}
	}
	for n := 1; n > 0; {
		n, err = WriteNow(fds[1], got)
	}
	if err != unix.EAGAIN {
		t.Errorf("got %v, want %v", err, unix.EAGAIN)
	}
	unix.Close(fds[1])
	if _, err := WriteNow(fds[1], got); err != unix.EBADF {
		t.Errorf("got %v, want %v", err, unix.EBADF)
	}
}
