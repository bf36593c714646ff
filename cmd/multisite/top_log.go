package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/visible"
)

const (
	tailKept  = 1000 // lines of a log that can be looked at
	tailBegin = 200  // lines that are there at once
)

// logTail follows the log of a site for top. A site that writes faster than the terminal
// shows loses lines: nobody can read them.
type logTail struct {
	lines chan string
	end   context.CancelFunc
	rest  []byte // of the line that is being written; only Write uses it
	lost  int    // only Write uses it
}

// logMsg is lines of the log of a tail.
type logMsg struct {
	of    *logTail
	lines []string
	ended bool
}

// follow shows the log of a site.
func (m *top) follow(site string) tea.Cmd {
	m.leave()
	ctx, cancel := context.WithCancel(m.ctx)
	t := &logTail{lines: make(chan string, tailKept), end: cancel}
	m.page, m.log, m.site = logPage, t, site
	copying := func() tea.Msg {
		defer close(t.lines)
		if err := m.client.Logs(ctx, control.LogQuery{Site: site, Lines: tailBegin, Follow: true}, t); err != nil && ctx.Err() == nil {
			return doneMsg("the log ended: " + err.Error())
		}
		return nil
	}
	return tea.Batch(copying, t.next)
}

func (t *logTail) close() { t.end() }

// Write takes lines. It never waits.
func (t *logTail) Write(p []byte) (int, error) {
	t.rest = append(t.rest, p...)
	for {
		line, rest, found := bytes.Cut(t.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		t.rest = rest
		if t.lost > 0 && len(t.lines) < cap(t.lines)/2 {
			t.lines <- fmt.Sprintf("… %d lines were written too fast to be shown", t.lost)
			t.lost = 0
		}
		select {
		case t.lines <- string(line):
		default:
			t.lost++
		}
	}
}

// next waits for lines, and returns all that are there.
func (t *logTail) next() tea.Msg {
	line, open := <-t.lines
	if !open {
		return logMsg{of: t, ended: true}
	}
	msg := logMsg{of: t, lines: []string{line}}
	for len(t.lines) > 0 && len(msg.lines) < tailKept {
		msg.lines = append(msg.lines, <-t.lines)
	}
	return msg
}

// takeLog takes lines, and asks for the next ones.
func (m *top) takeLog(msg logMsg) tea.Cmd {
	if msg.of != m.log || msg.ended { // another log is shown by now
		return nil
	}
	m.logged = append(m.logged, msg.lines...)
	if over := len(m.logged) - tailKept; over > 0 {
		m.logged = append([]string(nil), m.logged[over:]...)
	}
	if m.scroll > 0 { // what is looked at stays where it is
		m.scroll = min(m.scroll+len(msg.lines), len(m.logged))
	}
	return m.log.next
}

// logLines returns the lines that fit, long ones in several pieces.
func (m *top) logLines(width, room int) (lines []string) {
	m.scroll = min(m.scroll, max(len(m.logged)-room, 0))
	last := len(m.logged) - m.scroll
	for _, line := range m.logged[max(last-room, 0):last] {
		r := []rune(visible.Text(strings.ReplaceAll(withoutDate(line), "\t", "    ")))
		for len(r) > width {
			lines = append(lines, string(r[:width]))
			r = r[width:]
		}
		lines = append(lines, string(r))
	}
	return lines[max(len(lines)-room, 0):]
}

// withoutDate returns a line of a log with its time of day only, in seconds.
func withoutDate(line string) string {
	const stamp = "2006-01-02T15:04:05.000Z"
	if len(line) < len(stamp) {
		return line
	}
	if at, err := time.Parse(stamp, line[:len(stamp)]); err == nil {
		return at.Format(time.TimeOnly) + line[len(stamp):]
	}
	return line
}
