// Package footprint keeps the resident memory of this program small: it returns to the
// kernel what only the start, a roll or a rare command has needed.
//
// Most of what a front door holds is the program itself. The kernel maps many pages
// around each one that is used, and huge pages where it can, so soon the whole file is
// resident, though a tenth of it runs. Pages of the file that nobody has changed can be
// unmapped at any time: what runs again is mapped again from the page cache, without
// reading the disk: 64 KB at a time, or since Linux 6.18 as much as the page cache holds
// in one piece, up to 2 MB.
package footprint

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// Trim collects garbage, returns free memory of the heap, and unmaps the pages of this
// program's file. It takes a few milliseconds for a heap of a few MB, during which the
// program runs.
func Trim() error {
	debug.FreeOSMemory()
	return Unmap()
}

// Unmap unmaps the pages of this program's file, which takes less than a millisecond. What
// runs is mapped again with some hundred page faults.
func Unmap() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	return unmap(program)
}

// unmap unmaps the unchanged read-only pages of a file, and keeps huge pages of it from
// being mapped. The file's mappings must not change meanwhile.
func unmap(path string) error {
	found, err := mappings(path)
	if err != nil {
		return fmt.Errorf("find the mappings of %s: %w", path, err)
	}
	for _, m := range found {
		_ = m.advise(unix.MADV_NOHUGEPAGE) // fails on a kernel without huge pages
		err = errors.Join(err, m.advise(unix.MADV_DONTNEED))
	}
	return err
}

// mapping is a range of addresses.
type mapping struct{ begin, end uintptr }

// advise is madvise(2), of addresses that are not Go's.
func (m mapping) advise(advice uintptr) error {
	if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.begin, m.end-m.begin, advice); errno != 0 {
		return fmt.Errorf("madvise: %w", errno)
	}
	return nil
}

// mappings returns the read-only mappings of a file without changed pages. Unmapping a
// changed page would undo the change: the linker's relocations, a debugger's breakpoint.
func mappings(path string) ([]mapping, error) {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return unchanged(f, path)
}

// unchanged returns the mappings of a file in smaps of which no page was changed. A changed
// page that was swapped out is not Anonymous any more.
func unchanged(smaps io.Reader, path string) ([]mapping, error) {
	var found []mapping
	var current mapping
	wanted := false
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		line := lines.Bytes()
		if m, mode, name, ok := parseHeader(line); ok {
			current, wanted = m, name == path && mode[1] == '-'
		} else if kb, ok := bytes.CutPrefix(line, []byte("Anonymous:")); ok {
			wanted = wanted && isNone(kb)
		} else if kb, ok := bytes.CutPrefix(line, []byte("Swap:")); ok && wanted && isNone(kb) { // it comes later
			found = append(found, current)
		}
	}
	return found, lines.Err()
}

func isNone(kb []byte) bool { return string(bytes.TrimSpace(kb)) == "0 kB" }

// parseHeader parses the first line of a mapping in /proc/PID/smaps (proc(5)), as in
// "00403000-00d21000 r-xp 00003000 fe:00 1234    /usr/bin/multisite".
func parseHeader(line []byte) (m mapping, mode, name string, ok bool) {
	addresses, rest, _ := bytes.Cut(line, []byte(" "))
	begin, end, ok := bytes.Cut(addresses, []byte("-"))
	if !ok {
		return m, "", "", false
	}
	b, err1 := strconv.ParseUint(string(begin), 16, 64)
	e, err2 := strconv.ParseUint(string(end), 16, 64)
	f := bytes.Fields(rest)
	if err1 != nil || err2 != nil || len(f) < 4 || len(f[0]) != 4 {
		return m, "", "", false
	}
	if at := bytes.IndexByte(rest, '/'); at >= 0 {
		name = string(rest[at:])
	}
	return mapping{uintptr(b), uintptr(e)}, string(f[0]), name, true
}
