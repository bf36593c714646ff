package logs

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
)

// Tail returns the last n lines of the logs of sites in a directory, also of rotated
// files, in order of time.
func Tail(dir string, sites []string, n int) ([]string, error) {
	var all []string
	for _, site := range sites {
		lines, err := tailFiles(pathOf(dir, site), n)
		if err != nil {
			return nil, err
		}
		all = append(all, lines...)
	}
	if len(sites) > 1 {
		slices.SortStableFunc(all, func(a, b string) int { return strings.Compare(stamp(a), stamp(b)) })
	}
	return all[max(0, len(all)-n):], nil
}

// stamp returns the time with which a line begins.
func stamp(line string) string { return line[:min(len(line), len(timeFormat))] }

// tailFiles returns the last n lines of a log file and of its rotated ones.
func tailFiles(path string, n int) ([]string, error) {
	var lines []string
	for i := 0; len(lines) < n; i++ {
		older, err := tailFile(rotatedName(path, i), n-len(lines))
		if errors.Is(err, os.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, err
		}
		lines = append(older, lines...)
	}
	return lines, nil
}

// tailFile returns the last n lines of a file, reading it from its end.
func tailFile(path string, n int) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	for size := int64(64 << 10); ; size *= 4 {
		size = min(size, end)
		buf := make([]byte, size)
		if _, err := f.ReadAt(buf, end-size); err != nil {
			return nil, err
		}
		lines := slices.Collect(strings.Lines(string(buf)))
		if size == end || len(lines) > n {
			return lines[max(0, len(lines)-n):], nil
		}
	}
}
