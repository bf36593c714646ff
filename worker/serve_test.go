package worker

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestServe_StartedByHand(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, want string
		env        []string
	}{
		{"in a shell", `is a multisite app and does not run by itself: put app = "`, nil},
		{"without a socket", "multisite: read MULTISITE_LISTEN_FD: ", []string{Handshake.MagicCookieKey + "=" + Handshake.MagicCookieValue}},
		{"with a wrong descriptor", "multisite: take over the listening socket: ",
			[]string{Handshake.MagicCookieKey + "=" + Handshake.MagicCookieValue, ListenEnv + "=0"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(test.env, "WORKER_TEST_PROGRAM=hello")
			out, err := cmd.CombinedOutput()
			if err == nil || cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("got %v, want exit status 1", err)
			}
			if got := string(out); !strings.Contains(got, test.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("got %q, want one line with %q", got, test.want)
			}
		})
	}
}

// TestTracked_KeepsTheWritersMethods: without them streaming and websockets do not work.
func TestTracked_KeepsTheWritersMethods(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&handler{app: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close()
	})})
	defer server.Close()
	if _, err := http.Get(server.URL); err != nil && !strings.Contains(err.Error(), "EOF") {
		t.Errorf("got %v", err)
	}
}

func TestHandler_PanicAfterHeadersOfItsOwn(t *testing.T) {
	t.Parallel()
	h := &handler{app: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "half=done")
		w.WriteHeader(http.StatusEarlyHints) // the answer has not begun yet
		panic("before the answer")
	})}
	rec := httptest.NewRecorder()
	tracked := informational{rec}
	h.ServeHTTP(tracked, httptest.NewRequest("GET", "/", nil))
	if rec.Code != 500 || rec.Header().Get("Set-Cookie") != "" {
		t.Errorf("got %d %v, want a bare 500", rec.Code, rec.Header())
	}
	if s := h.stats(); s.Requests != 1 || s.Active != 0 {
		t.Errorf("got %+v, want one request, none active", s)
	}
}

// informational keeps informational answers from the recorder, which takes them for the
// answer.
type informational struct{ *httptest.ResponseRecorder }

func (w informational) WriteHeader(status int) {
	if status >= 200 {
		w.ResponseRecorder.WriteHeader(status)
	}
}
