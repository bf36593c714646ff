// Package logs writes the log files: one for each site, multisite.log for the
// supervisor's own messages, and the access logs. It rotates them by size, reads their
// last lines, and streams new lines to readers.
//
// No caller ever waits long for a slow console or a slow disk: lines that it does not
// take in time are lost, and the log says how many and where. No file is kept open, so
// another program (logrotate) may rename or truncate it at any time.
package logs

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Supervisor is the name of the supervisor's own log, beside those of the sites.
const Supervisor = "multisite"

const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// Logs are the log files of one directory. Every line begins with the time and the
// name of its author: a worker, a task, or multisite.
type Logs struct {
	dir      string
	console  *queue // gets every line of every file
	rotation rotation

	mu sync.Mutex
	// mu protects all below. While it is held, a line is passed to the streams, so
	// they all get the lines in the same order.
	files   map[string]*queue // by site, one for each log that was written to
	streams map[*Stream]bool
	ended   bool // by EndStreams: no stream is added any more
	closed  bool // by Close: lines are dropped
}

// Open makes the directory if needed, and returns the logs in it. console gets a copy
// of every line; nil means no console.
func Open(dir string, console io.Writer) (*Logs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if console == nil {
		console = io.Discard
	}
	l := &Logs{dir: dir, console: &queue{}, files: map[string]*queue{}, streams: map[*Stream]bool{}}
	l.console.out = func(lines []byte, lost int) {
		_, _ = console.Write(lines) // there is no other place to report it
		if lost > 0 {
			_, _ = io.WriteString(console, warning("lines are lost here: nobody has read them", "lines", lost))
		}
	}
	return l, nil
}

// Dir returns the directory of the log files.
func (l *Logs) Dir() string { return l.dir }

func (l *Logs) path(site string) string { return pathOf(l.dir, site) }

func pathOf(dir, site string) string { return filepath.Join(dir, site+".log") }

// Write adds one line by author to the log of a site.
func (l *Logs) Write(site, author, text string) {
	line := time.Now().Format(timeFormat) + " " + author + " " + text + "\n"
	if file := l.stream(site, line); file != nil {
		file.add(line)
		l.console.add(line)
	}
}

// stream passes a line to all streams of the site, and returns the queue of the
// site's file; nil after Close.
func (l *Logs) stream(site, line string) *queue {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	for s := range l.streams {
		if s.site != "" && s.site != site {
			continue
		}
		select {
		case s.lines <- line:
		default:
		}
	}
	return l.fileLocked(site)
}

// warn reports an error of a log file on the console and to the streams, since it may
// not be possible to write it to a file.
func (l *Logs) warn(err error) {
	line := warning("log lines are lost", "error", err)
	l.stream(Supervisor, line)
	l.console.add(line)
}

// warning formats a warning of this package itself, which cannot use a Logger: that
// would end up in the same file.
func warning(text, key string, value any) string {
	return fmt.Sprintf("%s multisite level=WARN msg=%q %s=%q\n", time.Now().Format(timeFormat), text, key, fmt.Sprint(value))
}

func (l *Logs) fileLocked(site string) *queue {
	q := l.files[site]
	if q == nil {
		f := &file{path: l.path(site), rotation: &l.rotation}
		q = &queue{out: func(lines []byte, lost int) {
			if err := f.write(lines); err != nil {
				l.warn(err)
			}
			if lost > 0 {
				f.lose(lost)
			}
			f.close()
		}}
		l.files[site] = q
	}
	return q
}

// Flush waits until all lines that were added before are written, but not long for a
// disk or console that is slow.
func (l *Logs) Flush() {
	l.mu.Lock()
	all := append(slices.Collect(maps.Values(l.files)), l.console)
	l.mu.Unlock()
	var flushing sync.WaitGroup
	for _, q := range all {
		flushing.Go(func() { q.flush(flushPatience) })
	}
	flushing.Wait()
}

// SetRotation sets the size in bytes at which a file is rotated, 0 for never, and how
// many rotated files are kept. It reports whether that is a change.
func (l *Logs) SetRotation(maxSize int64, keep int) bool {
	oldSize, oldKeep := l.rotation.maxSize.Swap(maxSize), l.rotation.keep.Swap(int64(keep))
	return oldSize != maxSize || oldKeep != int64(keep)
}

// Logger returns a logger whose records are lines of the site's log.
func (l *Logs) Logger(site string) *slog.Logger {
	return slog.New(slog.NewTextHandler(&recordWriter{l, site}, &slog.HandlerOptions{ReplaceAttr: plain}))
}

// plain drops the time, with which the line begins already, and rounds durations.
func plain(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().Round(time.Millisecond).String())
	}
	return a
}

// recordWriter writes what a slog handler writes to the log of a site.
type recordWriter struct {
	logs *Logs
	site string
}

func (w *recordWriter) Write(p []byte) (int, error) {
	w.logs.Write(w.site, "multisite", strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// Close ends all streams, and waits for a moment until all lines are written. Lines
// that are added later are dropped.
func (l *Logs) Close() {
	l.EndStreams()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.Flush()
}
