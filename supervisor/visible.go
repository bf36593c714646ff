package supervisor

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns text with all written out that a terminal would obey, or hide, as
// JSON does it: control characters but newline and tab, marks of the direction of text,
// and separators of lines. A byte that is no UTF-8 is \xNN. What strangers had a hand in
// goes to a person through this, or through a VisibleWriter.
func Visible(text string) string {
	b, rest := appendVisible(nil, []byte(text))
	return string(b) + writtenOut(rest)
}

// VisibleWriter writes to W what Visible makes of the text. It is used by one goroutine
// at a time.
type VisibleWriter struct {
	W    io.Writer
	rest []byte // the beginning of a character
}

// Write writes all but the first bytes of a character whose rest is to come.
func (w *VisibleWriter) Write(p []byte) (int, error) {
	var b []byte
	b, w.rest = appendVisible(nil, append(w.rest, p...))
	if _, err := w.W.Write(b); err != nil {
		return 0, err
	}
	return len(p), nil
}

// appendVisible returns what may be the beginning of a character, at the end of text.
func appendVisible(b, text []byte) (all, rest []byte) {
	for len(text) > 0 {
		if !utf8.FullRune(text) {
			return b, text
		}
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, writtenOut(text[:1])...)
		case isHidden(r):
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = append(b, text[:size]...)
		}
		text = text[size:]
	}
	return b, nil
}

// isHidden tells of a character that does what a reader does not see. All of them have
// four digits.
func isHidden(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}

func writtenOut(bytes []byte) string {
	var b strings.Builder
	for _, c := range bytes {
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	return b.String()
}
