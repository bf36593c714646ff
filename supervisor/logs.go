package supervisor

import (
	"errors"
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

	"github.com/multisite/multisite/worker/process"
)

const logTime = "2006-01-02T15:04:05.000Z07:00"

// logs writes one file per site, and multisite.log for the supervisor's own
// words. Every line begins with the time and who said it. A file is open only while
// lines are written to it: whoever moves it away, as logrotate does, gets a new one.
type logs struct {
	dir     string
	console *lines
	rules   logRules

	mu sync.Mutex
	// mu protects files, followers and the order of lines
	files     map[string]*lines
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
	l := &logs{dir: dir, console: &lines{}, files: map[string]*lines{}, followers: map[*follower]bool{}}
	l.console.out = func(lines []byte, lost int) {
		_, _ = console.Write(lines) // there is nowhere else to say it
		if lost > 0 {
			_, _ = io.WriteString(console, warning("lines are lost here: nobody has read them", "lines", lost))
		}
	}
	return l, nil
}

func (l *logs) path(site string) string { return filepath.Join(l.dir, site+".log") }

// write adds one line that who said about a site.
func (l *logs) write(site, who, text string) {
	line := time.Now().Format(logTime) + " " + who + " " + text + "\n"
	if file := l.tell(site, line); file != nil {
		file.add(line)
		l.console.add(line)
	}
}

// tell sends a line to those who read along, and returns what writes it; nil: nothing
// is written any more.
func (l *logs) tell(site, line string) *lines {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	for f := range l.followers {
		if f.site != "" && f.site != site {
			continue
		}
		select {
		case f.lines <- line:
		default:
		}
	}
	return l.fileLocked(site)
}

// warn says where it can be said that log files can not be written to.
func (l *logs) warn(err error) {
	line := warning("log lines are lost", "error", err)
	l.tell("multisite", line)
	l.console.add(line)
}

// warning is a line of ours, where a logger would lead back to here.
func warning(text, key string, value any) string {
	return fmt.Sprintf("%s multisite level=WARN msg=%q %s=%q\n", time.Now().Format(logTime), text, key, fmt.Sprint(value))
}

func (l *logs) fileLocked(site string) *lines {
	q := l.files[site]
	if q == nil {
		file := &logFile{path: l.path(site), rules: &l.rules}
		q = &lines{out: func(lines []byte, lost int) {
			if err := file.write(lines); err != nil {
				l.warn(err)
			}
			if lost > 0 {
				file.lose(lost)
			}
			file.release()
		}}
		l.files[site] = q
	}
	return q
}

// settle waits for a moment until what was said is written.
func (l *logs) settle() {
	l.mu.Lock()
	all := append(slices.Collect(maps.Values(l.files)), l.console)
	l.mu.Unlock()
	var settling sync.WaitGroup
	for _, q := range all {
		settling.Go(func() { q.settle(linesFarewell) })
	}
	settling.Wait()
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

// ReopenLogs is for who has moved log files away: when it returns, nothing more is
// written to those. That is so a moment later anyway, as no file is kept open.
func (s *Supervisor) ReopenLogs() { s.logs.settle() }

func (l *logs) close() {
	l.endFollowers()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.settle()
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
