// Package httphead reads what a request says before its body: where head and body end,
// which site it is for, and which client it comes from if a trusted proxy has sent it. It
// refuses what two readers could understand differently. It reads bytes that others
// received and does no I/O.
package httphead

import (
	"strings"

	"golang.org/x/net/http/httpguts"
)

// readField parses a header line. It refuses one that continues the line before.
func readField(line string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(line, ":")
	value = strings.Trim(value, " \t")
	return name, value, ok && httpguts.ValidHeaderFieldName(name) && httpguts.ValidHeaderFieldValue(value)
}
