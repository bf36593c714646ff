package goapp

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/multisite/multisite/worker/wire"
)

// TestSent_Large: an answer of many buffers leaves its connection idle.
func TestSent_Large(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789", 100_000)
	for _, header := range []string{"", strconv.Itoa(len(text))} {
		w := socketWorker(t, func(w http.ResponseWriter, r *http.Request) {
			if header != "" {
				w.Header().Set("Content-Length", header)
			}
			_, _ = io.WriteString(w, text)
		})
		a, err := receiveInto(t, w.Send(headOf("/"), watched{}), wire.NewBuffer(4096))
		if err != nil || string(a.Body) != text {
			t.Fatalf("got %v", err)
		}
		if n := len(w.idle.idle); n != 1 {
			t.Errorf("%d connections are idle, want 1", n)
		}
	}
}
