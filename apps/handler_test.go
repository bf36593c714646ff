package apps

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/multisite/multisite/apps/app"
)

func TestRecovered_PanicIsLoggedAndAnswered(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	env := &app.Env{Log: slog.New(slog.NewTextHandler(&log, nil))}
	w := httptest.NewRecorder()
	recoverPanics(env, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("at the disco") })).
		ServeHTTP(w, httptest.NewRequest("GET", "/dance", nil))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "disco") {
		t.Errorf("got %d: %s", w.Code, w.Body)
	}
	for _, want := range []string{"at the disco", "path=/dance", "handler_test.go"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q: %s", want, log.String())
		}
	}
}

// For this panic, and no other, net/http cuts the connection.
func TestRecovered_PassesAbortOn(t *testing.T) {
	t.Parallel()
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("got %v, want http.ErrAbortHandler", got)
		}
	}()
	abort := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	recoverPanics(&app.Env{}, abort).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}
