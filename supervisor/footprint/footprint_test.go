package footprint

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const pages = 64

// mapFile maps a file of many pages and reads each of them.
func mapFile(t *testing.T) (path string, data []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "a program")
	content := bytes.Repeat([]byte("x"), pages*os.Getpagesize())
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err = unix.Mmap(int(f.Fd()), 0, len(content), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(data) })
	if !bytes.Equal(data, content) {
		t.Fatal("the mapping differs from the file")
	}
	return path, data
}

func protect(t *testing.T, data []byte) {
	t.Helper()
	if err := unix.Mprotect(data, unix.PROT_READ); err != nil {
		t.Fatal(err)
	}
}

// entry returns what the kernel says of the mapping of a file.
func entry(t *testing.T, path string) string {
	t.Helper()
	all, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := bytes.Cut(all, []byte(path+"\n"))
	if !ok {
		t.Fatalf("%s is not mapped", path)
	}
	text, _, _ := bytes.Cut(after, []byte("VmFlags:"))
	return string(text)
}

func resident(t *testing.T, path string) string {
	t.Helper()
	for line := range bytes.Lines([]byte(entry(t, path))) {
		if bytes.HasPrefix(line, []byte("Rss:")) {
			return string(bytes.Fields(line)[1])
		}
	}
	t.Fatal("no Rss")
	return ""
}

func TestUnmap_UnmapsWhatNobodyHasChanged(t *testing.T) {
	path, data := mapFile(t)
	protect(t, data)
	if resident(t, path) == "0" {
		t.Fatal("the pages were not mapped")
	}
	if err := unmap(path); err != nil {
		t.Fatal(err)
	}
	if got := resident(t, path); got != "0" {
		t.Errorf("got %s kB mapped, want 0", got)
	}
	if data[len(data)-1] != 'x' {
		t.Error("the file is not mapped again when it is read")
	}
}

func TestUnmap_KeepsChangedPages(t *testing.T) {
	path, data := mapFile(t)
	data[5] = 'y'
	protect(t, data)
	if err := unmap(path); err != nil {
		t.Fatal(err)
	}
	if data[5] != 'y' {
		t.Error("the change was undone")
	}
}

// TestUnmap_KeepsChangedPagesThatWereSwappedOut: the machine of a test need not swap.
func TestUnmap_KeepsChangedPagesThatWereSwappedOut(t *testing.T) {
	smaps := "1000-2000 r--p 00000000 fe:00 1    /bin/program\nRss:  0 kB\nAnonymous:  0 kB\nSwap:  4 kB\nSwapPss:  4 kB\n" +
		"2000-3000 r-xp 00001000 fe:00 1    /bin/program\nRss:  4 kB\nAnonymous:  0 kB\nSwap:  0 kB\nSwapPss:  0 kB\n" +
		"3000-4000 r--p 00002000 fe:00 1    /bin/program\nRss:  4 kB\nAnonymous:  4 kB\nSwap:  0 kB\nSwapPss:  0 kB\n"
	found, err := unchanged(strings.NewReader(smaps), "/bin/program")
	if want := []mapping{{0x2000, 0x3000}}; err != nil || !slices.Equal(found, want) {
		t.Errorf("got %x and error %v, want %x", found, err, want)
	}
}

func TestUnmap_LeavesWritablePagesAlone(t *testing.T) {
	path, _ := mapFile(t)
	if err := unmap(path); err != nil {
		t.Fatal(err)
	}
	if resident(t, path) == "0" {
		t.Error("pages of a mapping that may be written were unmapped")
	}
}

func TestTrim_ReturnsTheHeapAndTheProgram(t *testing.T) {
	before := withGarbage(t)
	if err := Trim(); err != nil {
		t.Fatal(err)
	}
	if after := anonymous(t); after > before-32<<10 {
		t.Errorf("got %d kB of memory after %d kB, want 32 MB less", after, before)
	}
	if found, err := mappings(program(t)); err != nil || len(found) == 0 {
		t.Errorf("got %v and error %v, want the mappings of the program", found, err)
	}
}

// withGarbage returns how much memory there is with 64 MB that nothing refers to any more.
func withGarbage(t *testing.T) (kb int) {
	t.Helper()
	garbage := make([][]byte, 64)
	for i := range garbage {
		garbage[i] = bytes.Repeat([]byte("x"), 1<<20)
	}
	kb = anonymous(t)
	slices.Reverse(garbage) // in use until here
	return kb
}

// anonymous returns the memory of this process that is no file's, in kB.
func anonymous(t *testing.T) (kb int) {
	t.Helper()
	all, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(all) {
		if bytes.HasPrefix(line, []byte("Anonymous:")) {
			kb, err = strconv.Atoi(string(bytes.Fields(line)[1]))
		}
	}
	if err != nil || kb == 0 {
		t.Fatalf("no memory in %s: %v", all, err)
	}
	return kb
}

func program(t *testing.T) string {
	t.Helper()
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	return path
}
