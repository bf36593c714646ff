package proxy

import (
	"bytes"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// giveReason sees to it that the client gets the text that the worker gave its status.
// net/http writes no other than the standard's: the connection changes it (handed.Write).
// Where net/http accepted the connection itself, not the Loop, that stays.
func (e *exchange) giveReason(resp *http.Response) {
	_, reason, _ := strings.Cut(resp.Status, " ")
	if reason == "" || reason == http.StatusText(resp.StatusCode) || !httpguts.ValidHeaderFieldValue(reason) {
		return
	}
	if h, ok := e.r.Context().Value(handedKey{}).(*handed); ok {
		h.reason = reason
	}
}

// Write writes to the client. What net/http writes first, after an exchange has given a
// reason, begins with the status line of its answer: nothing of the one before is left in
// its buffer, and its handler is the only one that writes.
func (h *handed) Write(b []byte) (int, error) {
	if h.reason == "" {
		return h.socket.Write(b)
	}
	reason := h.reason
	h.reason = ""
	const text = len("HTTP/1.1 200 ")
	end := bytes.IndexByte(b, '\r')
	if end < text || !bytes.HasPrefix(b, []byte("HTTP/1.")) {
		return h.socket.Write(b)
	}
	changed := append(append(b[:text:text], reason...), b[end:]...)
	n, err := h.socket.Write(changed)
	if err == nil {
		n = len(b)
	}
	return min(n, len(b)), err
}
