package process

import (
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Constants of userfaultfd(2), from linux/userfaultfd.h.
const (
	uffdAPI, uffdRegister = 0xc018aa3f, 0xc020aa00
	uffdVersion           = 0xaa
	uffdMissing           = 1
)

// stallingPage returns memory whose reader waits for ever, as it would on a user's own file
// system. stalled returns when one waits.
func stallingPage(t *testing.T) (page []byte, stalled func()) {
	t.Helper()
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno != 0 {
		t.Skipf("no memory that stalls here: userfaultfd: %v", errno)
	}
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(int(fd)) }) // after that all readers go on
	api := [3]uint64{uffdVersion}
	register := [4]uint64{uint64(uintptr(unsafe.Pointer(&page[0]))), 4096, uffdMissing}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, uffdAPI, uintptr(unsafe.Pointer(&api))); errno != 0 {
		t.Fatal(errno)
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, uffdRegister, uintptr(unsafe.Pointer(&register))); errno != 0 {
		t.Fatal(errno)
	}
	return page, func() {
		t.Helper()
		if _, err := unix.Read(int(fd), make([]byte, 32)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOutput_WriterThatStalls: a process of another user that stalls in the middle of a
// write blocks neither the reading of other output nor finish.
func TestOutput_WriterThatStalls(t *testing.T) {
	t.Parallel()
	lines := make(chan string, 1)
	o, err := NewOutput(stranger, func(line string) { lines <- line })
	if err != nil {
		t.Fatal(err)
	}
	its, err := unix.Dup(int(o.File().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(its)
	page, stalled := stallingPage(t)
	go func() { _, _ = unix.Write(its, page) }()
	stalled()
	go func() { _, _ = unix.Write(its, []byte("not held up\n")) }()
	select {
	case line := <-lines:
		if line != "not held up" {
			t.Errorf("got %q", line)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the reader waits for the writer")
	}
	o.started()
	ended := make(chan struct{})
	go func() { defer close(ended); o.finish() }()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("finish waits for the writer")
	}
}
