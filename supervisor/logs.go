package supervisor

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/multisite/multisite/worker/process"
)

const logTime = "2006-01-02T15:04:05.000Z07:00"

// maxOpenLogs bounds the descriptors of logs. The next line opens its file again.
const maxOpenLogs = 64

// logs writes one file per site, and multisite.log for the supervisor's own
// words. Every line begins with the time and who said it.
type logs struct {
	dir     string
	console io.Writer
	rules   logRules

	mu sync.Mutex
	// mu protects files, followers and the order of lines
	files     map[string]*logFile
	followers map[*follower]bool
	ended     bool // nobody follows any more
	closed    bool
}

// follower gets new lines of one site, or of all.
type follower struct {
	site  string
	lines chan string // a follower too slow for it loses lines
}

func openLogs(dir string, console io.Writer) (*logs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if console == nil {
		console = io.Discard
	}
	return &logs{dir: dir, console: console, files: map[string]*logFile{}, followers: map[*follower]bool{}}, nil
}

func (l *logs) path(site string) string { return filepath.Join(l.dir, site+".log") }

// write adds one line that who said about a site.
func (l *logs) write(site, who, text string) {
	line := time.Now().Format(logTime) + " " + who + " " + text + "\n"
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	err := l.fileLocked(site).write([]byte(line))
	l.tellLocked(site, line)
	if err != nil {
		l.warnLocked(err)
	}
}

// tellLocked sends a line to those who read along.
func (l *logs) tellLocked(site, line string) {
	_, _ = io.WriteString(l.console, line) // there is nowhere else to say it
	for f := range l.followers {
		if f.site != "" && f.site != site {
			continue
		}
		select {
		case f.lines <- line:
		default:
		}
	}
}

// warn says where it can be said that log files can not be written to.
func (l *logs) warn(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.warnLocked(err)
}

func (l *logs) warnLocked(err error) {
	l.tellLocked("multisite", fmt.Sprintf("%s multisite level=WARN msg=\"log lines are lost\" error=%q\n", time.Now().Format(logTime), err))
}

// fileLocked returns the file of a site's log, which may have to be opened.
func (l *logs) fileLocked(site string) *logFile {
	f := l.files[site]
	if f == nil {
		f = &logFile{path: l.path(site), rules: &l.rules}
		l.files[site] = f
	}
	if f.file == nil && l.openLocked() >= maxOpenLogs { // most sites of many are silent
		l.closeFilesLocked()
	}
	return f
}

func (l *logs) openLocked() (n int) {
	for _, f := range l.files {
		if f.file != nil {
			n++
		}
	}
	return n
}

// setRules says from now on how large a log file may be, and how many that are put
// aside stay. It tells whether that is new.
func (l *logs) setRules(most int64, keep int) bool {
	sizes, counts := l.rules.most.Swap(most), l.rules.keep.Swap(int64(keep))
	return sizes != most || counts != int64(keep)
}

// logger returns a logger whose records are lines of the site's log.
func (l *logs) logger(site string) *slog.Logger {
	return slog.New(slog.NewTextHandler(&logWriter{l, site}, &slog.HandlerOptions{ReplaceAttr: plain}))
}

// plain drops what the line says already, and writes durations as people read them.
func plain(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().Round(time.Millisecond).String())
	}
	return a
}

type logWriter struct {
	logs *logs
	site string
}

func (w *logWriter) Write(p []byte) (int, error) {
	w.logs.write(w.site, "multisite", strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

func (l *logs) follow(site string) *follower {
	f := &follower{site: site, lines: make(chan string, 1000)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		close(f.lines)
		return f
	}
	l.followers[f] = true
	return f
}

func (l *logs) unfollow(f *follower) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.followers, f)
}

// endFollowers lets those who follow come to an end.
func (l *logs) endFollowers() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.dropFollowersLocked()
}

// dropFollowers is endFollowers, but they may come back.
func (l *logs) dropFollowers() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropFollowersLocked()
}

func (l *logs) dropFollowersLocked() {
	for f := range l.followers {
		delete(l.followers, f)
		close(f.lines)
	}
}

func (l *logs) close() {
	l.endFollowers()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.closeFilesLocked()
}

func (l *logs) closeFilesLocked() {
	for _, f := range l.files {
		f.release()
	}
}

// output takes a line that a worker wrote.
func (t *site) output(worker, line string) { t.super.logs.write(t.name, worker, line) }

// logDetail writes the traceback of a worker that did not start.
func (t *site) logDetail(err error) {
	var launch *process.LaunchError
	if errors.As(err, &launch) && !strings.HasSuffix(launch.Problem, launch.Detail) {
		for line := range strings.Lines(launch.Detail) {
			t.super.logs.write(t.name, "multisite", strings.TrimRight(line, "\n"))
		}
	}
}

// describeError is an error with the traceback that it brought.
func describeError(err error) string {
	var launch *process.LaunchError
	if errors.As(err, &launch) && !strings.HasSuffix(launch.Problem, launch.Detail) { // nor when there is none
		return fmt.Sprintf("%v\n%s", err, strings.TrimRight(launch.Detail, "\n"))
	}
	return err.Error()
}
