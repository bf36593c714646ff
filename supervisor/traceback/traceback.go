// Package traceback reads tracebacks of Python: where in the site's own code an error comes
// from, and which lines of it its author wants to see. Own code is what does not lie where
// Python or pip install theirs. It never fails: what it does not understand, it leaves as it
// is.
package traceback

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var (
	frameLine = regexp.MustCompile(`^  File "([^"]+)", line (\d+)(?:, in .*)?$`)
	foreign   = regexp.MustCompile(`/(?:site|dist)-packages/|/lib/python3[^/]*/|^<|/multisite_wsgi/`)
)

// frame is a frame of a traceback, or lines between frames.
type frame struct {
	file  string // "": no frame
	line  int
	lines []string
}

func (f frame) own() bool { return f.file != "" && !foreign.MatchString(f.file) }

// parse returns the frames of a traceback, and the lines between them.
func parse(text string) (frames []frame) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		last := len(frames) - 1
		switch m := frameLine.FindStringSubmatch(line); {
		case m != nil:
			number, _ := strconv.Atoi(m[2]) // one that is too long is no line of anything
			frames = append(frames, frame{file: m[1], line: number, lines: []string{line}})
		case last >= 0 && (frames[last].file == "" || strings.HasPrefix(line, "  ")):
			frames[last].lines = append(frames[last].lines, line)
		default:
			frames = append(frames, frame{lines: []string{line}})
		}
	}
	return frames
}

// Origin returns where in own code the last error of a traceback comes from; "" and 0 if it
// does not come from there.
func Origin(text string) (file string, line int) {
	for _, f := range parse(text) {
		if f.own() {
			file, line = f.file, f.line
		}
	}
	return file, line
}

// Own returns a traceback with a line in place of frames that are not of own code. One
// without own frames is returned as it is.
func Own(text string) string {
	if file, _ := Origin(text); file == "" {
		return text
	}
	var b strings.Builder
	left := 0
	flush := func() {
		if left > 0 {
			fmt.Fprintf(&b, "  … %d of other code\n", left)
		}
		left = 0
	}
	for _, f := range parse(text) {
		if f.file != "" && !f.own() {
			left++
			continue
		}
		flush()
		b.WriteString(strings.Join(f.lines, "\n") + "\n")
	}
	flush()
	return b.String()
}
