package supervisor

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/multisite/multisite/supervisor/control"
)

// Logs writes the last lines of a site's log, or of all, and goes on with new
// ones when asked to.
func (s *Supervisor) Logs(ctx context.Context, q control.LogQuery, w io.Writer) error {
	names := []string{q.Site}
	if q.Site == "" {
		names = []string{"multisite"}
		for _, site := range s.all() {
			names = append(names, site.name)
		}
	} else if _, err := s.site(q.Site); err != nil {
		return err
	}
	var f *follower
	if q.Follow { // before the tail is read, so that no line falls between
		f = s.logs.follow(q.Site)
		defer s.logs.unfollow(f)
	}
	s.logs.settle()
	lines, err := TailLogs(s.logs.dir, names, q.Lines)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, strings.Join(lines, "")); err != nil || f == nil {
		return err
	}
	return f.copy(ctx, w, lines)
}

// copy writes new lines, without those that the tail held already.
func (f *follower) copy(ctx context.Context, w io.Writer, tail []string) error {
	for {
		select {
		case line, ok := <-f.lines:
			if !ok {
				return nil
			}
			if len(tail) > 0 && line <= tail[len(tail)-1] && slices.Contains(tail, line) {
				continue
			}
			tail = nil
			if _, err := io.WriteString(w, line); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// TailLogs returns the last n lines of logs in a directory, in order of time.
func TailLogs(dir string, names []string, n int) ([]string, error) {
	var all []string
	for _, name := range names {
		lines, err := tailFiles((&logs{dir: dir}).path(name), n)
		if err != nil {
			return nil, err
		}
		all = append(all, lines...)
	}
	if len(names) > 1 {
		slices.SortStableFunc(all, func(a, b string) int { return strings.Compare(stamp(a), stamp(b)) })
	}
	return all[max(0, len(all)-n):], nil
}

func stamp(line string) string { return line[:min(len(line), len(logTime))] }

// tailFiles returns the last n lines of a log file and of those put aside.
func tailFiles(path string, n int) ([]string, error) {
	var lines []string
	for i := 0; len(lines) < n; i++ {
		older, err := tailFile(olderLog(path, i), n-len(lines))
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
