package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/multisite/multisite/supervisor/visible"
)

// leastWidth is the width of lines where no terminal says another one.
const leastWidth = 80

// display is where a command prints to a person. Text that is given to it may come from
// strangers; only the display itself writes control sequences, and only to a terminal.
type display struct {
	w        io.Writer
	width    int
	terminal bool // lines may be overwritten
	colour   bool
}

// newDisplay returns the display of an output that escaped has made, or of any other one.
func newDisplay(w io.Writer) *display {
	s := &display{w: w, width: leastWidth}
	escaped, ok := w.(*visible.Writer)
	if !ok {
		return s
	}
	file, ok := escaped.W.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return s
	}
	s.w, s.terminal = file, true
	s.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
		s.width = width
	}
	return s
}

// style is how text looks: parameters of the control sequence SGR, or "".
type style string

const (
	plain style = ""
	bold  style = "1"
	faint style = "2"
	red   style = "31"
	amber style = "33"

	inverse style = "1;7"
)

// paint returns text in a style, without what a terminal would obey in it.
func (s *display) paint(text string, look style) string {
	text = visible.Text(text)
	if look == plain || !s.colour || text == "" {
		return text
	}
	return "\x1b[" + string(look) + "m" + text + "\x1b[0m"
}

// say prints one line, cut to the width of the display.
func (s *display) say(line string, look style) {
	_, _ = io.WriteString(s.w, s.paint(cut(oneLine(line), s.width), look)+"\n") // nobody may read it any more
}

// wrap prints a name and a text behind it, in lines that are no longer than the display
// is wide.
func (s *display) wrap(name, text string, look style) {
	const indent = 12
	line, empty := fmt.Sprintf("%-*s", indent, name), true
	for word := range strings.FieldsSeq(visible.Text(text)) {
		if !empty && len([]rune(line))+1+len([]rune(word)) > s.width {
			s.say(line, look)
			line, empty = strings.Repeat(" ", indent), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
		for r := []rune(line); len(r) > s.width; r = []rune(line) { // a path, say
			s.say(string(r[:s.width]), look)
			line = strings.Repeat(" ", indent) + string(r[s.width:])
		}
	}
	s.say(line, look)
}

// oneLine returns text with its line breaks as spaces.
func oneLine(text string) string { return strings.ReplaceAll(visible.Text(text), "\n", " ") }

// cut shortens s to n characters.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:max(n-1, 0)]) + "…"
	}
	return s
}

// cutLeft shortens s to its last n characters, which say more of a worker's name than the
// first.
func cutLeft(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return "…" + string(r[len(r)-max(n-1, 0):])
	}
	return s
}
