// Package visible makes text safe to show to a person. Text that strangers had a
// hand in (URLs, tracebacks, the output of a site) may hold control sequences that a
// terminal would obey; everything that is printed goes through this package.
package visible

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns text with all characters escaped that a terminal would obey or hide:
// control characters other than newline and tab, and the Unicode marks that change
// the direction of text or separate lines. They are written as in JSON, \uNNNN. A
// byte that is not valid UTF-8 is written as \xNN.
func Text(text string) string {
	b, rest := appendText(nil, []byte(text))
	return string(b) + escapeBytes(rest)
}

// Writer writes to W what Text makes of the input. Only one goroutine may use it at
// a time.
type Writer struct {
	W    io.Writer
	rest []byte // the beginning of a character whose end has not been written yet
}

// Write writes p, but keeps the first bytes of a character that is incomplete until
// its other bytes follow.
func (w *Writer) Write(p []byte) (int, error) {
	var b []byte
	b, w.rest = appendText(nil, append(w.rest, p...))
	if _, err := w.W.Write(b); err != nil {
		return 0, err
	}
	return len(p), nil
}

// appendText appends the escaped text to b. rest is an incomplete character at the
// end of text, which is not appended.
func appendText(b, text []byte) (all, rest []byte) {
	for len(text) > 0 {
		if !utf8.FullRune(text) {
			return b, text
		}
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, escapeBytes(text[:1])...)
		case isHidden(r):
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = append(b, text[:size]...)
		}
		text = text[size:]
	}
	return b, nil
}

// isHidden reports whether r has an effect that a reader does not see. All such
// characters fit in four hexadecimal digits.
func isHidden(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}

func escapeBytes(bytes []byte) string {
	var b strings.Builder
	for _, c := range bytes {
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	return b.String()
}
