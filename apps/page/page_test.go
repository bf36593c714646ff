package page

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func newPages(t testing.TB) (*Pages, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	pages, err := New(Options{
		Chrome: func(*http.Request) Chrome { return Chrome{SiteName: "A <site>", Home: "/"} },
		Zone:   time.UTC, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages, &log
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestRender_IsWholeOrNothing(t *testing.T) {
	t.Parallel()
	pages, log := newPages(t)
	view, err := pages.View(fstest.MapFS{
		"_shared.html": file(`{{define "name"}}<b>{{.}}</b>{{end}}`),
		"good.html":    file(`{{define "title"}}Good{{end}}{{define "main"}}{{template "name" .}}{{end}}`),
		"bad.html":     file(`{{define "title"}}Bad{{end}}{{define "main"}}a lot {{.Missing.Field}}{{end}}`),
	}, nil, "*.html")
	if err != nil {
		t.Fatal(err)
	}
	show := func(name string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		pages.Handle(func(w http.ResponseWriter, r *http.Request) error {
			return view.Render(w, r, http.StatusOK, name, "<x>")
		}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		return w
	}
	good := show("good.html")
	if body := good.Body.String(); good.Code != 200 || !strings.Contains(body, "<b>&lt;x&gt;</b>") || !strings.Contains(body, "<title>Good · A &lt;site&gt;</title>") {
		t.Errorf("got %d: %s", good.Code, body)
	}
	for _, name := range []string{"bad.html", "none.html"} {
		bad := show(name)
		if body := bad.Body.String(); bad.Code != 500 || strings.Contains(body, "a lot") || !strings.Contains(body, "Something went wrong") {
			t.Errorf("%s: got %d: %s", name, bad.Code, body)
		}
	}
	if !strings.Contains(log.String(), "bad.html") {
		t.Errorf("the log says %s", log)
	}
}

func TestView_RefusesWhatIsMissing(t *testing.T) {
	t.Parallel()
	pages, _ := newPages(t)
	for pattern, files := range map[string]fstest.MapFS{"*.html": {}, "a.html": {"a.html": file("{{")}} {
		if _, err := pages.View(files, nil, pattern); err == nil {
			t.Errorf("%s was read", pattern)
		}
	}
}

func TestFail_ChoosesTheAnswer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err    error
		status int
		text   string
		logged bool
	}{
		{fmt.Errorf("find: %w", ErrNotFound), 404, "no such page", false},
		{Problem{Status: 403, Text: "Go <away>"}, 403, "Go &lt;away&gt;", false},
		{fmt.Errorf("read: %w", &http.MaxBytesError{}), 413, "more than this site takes", false},
		{errors.New("disk on fire"), 500, "Something went wrong", true},
	} {
		pages, log := newPages(t)
		w := httptest.NewRecorder()
		pages.Fail(w, httptest.NewRequest("GET", "/", nil), test.err)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.text) || strings.Contains(w.Body.String(), "fire") {
			t.Errorf("%v: got %d: %s", test.err, w.Code, w.Body)
		}
		if got := strings.Contains(log.String(), test.err.Error()); got != test.logged {
			t.Errorf("%v: logged %v, want %v", test.err, got, test.logged)
		}
	}
}

func TestStatic_BrowsersMayKeepTheStyleTheyWereTold(t *testing.T) {
	t.Parallel()
	pages, _ := newPages(t)
	w := httptest.NewRecorder()
	pages.Fail(w, httptest.NewRequest("GET", "/", nil), ErrNotFound)
	linked := regexp.MustCompile(`href="(/static/[^"]+)"`).FindStringSubmatch(w.Body.String())
	if linked == nil {
		t.Fatalf("no style sheet in %s", w.Body)
	}
	for path, want := range map[string]string{linked[1]: "public, max-age=31536000, immutable", "/static/site.css?v=old": "no-cache"} {
		w := httptest.NewRecorder()
		Static(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if got := w.Header().Get("Cache-Control"); w.Code != 200 || got != want {
			t.Errorf("%s: got %d, %q; want %q", path, w.Code, got, want)
		}
	}
}
