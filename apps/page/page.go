// Package page renders what visitors see: one layout and one style sheet for
// every app, around the app's own templates.
//
// A page is rendered whole before its first byte is sent, so a template that
// fails gives a clean 500 and never half a page. Pages carry no script and no
// inline style, and the Content-Security-Policy forbids both.
package page

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed layout.html error.html
var files embed.FS

// Chrome is what the layout shows around every page.
type Chrome struct {
	SiteName string
	Home     string
	Links    []Link
	User     string // empty: nobody is logged in
	Login    string // paths; empty ones are not shown
	Logout   string
	Account  string
	Messages []Message
	Style    string
}

// Link is one entry of the navigation.
type Link struct {
	Label, Path string
	Current     bool
}

// Message is told to a visitor once.
type Message struct{ Level, Text string }

// Options are what Pages need from the site.
type Options struct {
	Chrome func(*http.Request) Chrome
	Zone   *time.Location
	Log    *slog.Logger
	Debug  bool // show visitors why a page failed
}

// Pages holds the layout that every app's templates are put into.
type Pages struct {
	opts   Options
	layout *template.Template
	errors *View
	style  string
}

// New reads the layout.
func New(opts Options) (*Pages, error) {
	p := &Pages{opts: opts, style: styleURL()}
	layout, err := template.New("layout.html").Funcs(p.funcs()).ParseFS(files, "layout.html")
	if err != nil {
		return nil, fmt.Errorf("read the layout: %w", err)
	}
	p.layout = layout
	p.errors, err = p.View(files, nil, "error.html")
	return p, err
}

// View is the set of pages of one app.
type View struct {
	pages *Pages
	named map[string]*template.Template
}

// View reads templates, each of which defines "title" and "main" and sees the
// data given to Render as its dot. Files whose names begin with "_" are
// shared by the others of their folder.
func (p *Pages) View(from fs.FS, funcs template.FuncMap, patterns ...string) (*View, error) {
	base, err := p.layout.Clone()
	if err != nil {
		return nil, fmt.Errorf("copy the layout: %w", err)
	}
	var names []string
	for _, pattern := range patterns {
		found, err := fs.Glob(from, pattern)
		if err != nil || len(found) == 0 {
			return nil, fmt.Errorf("no templates match %q (%v)", pattern, err)
		}
		names = append(names, found...)
	}
	base.Funcs(funcs)
	view := &View{pages: p, named: map[string]*template.Template{}}
	for _, name := range names {
		if strings.HasPrefix(path.Base(name), "_") {
			if _, err := base.ParseFS(from, name); err != nil {
				return nil, fmt.Errorf("read template %s: %w", name, err)
			}
		}
	}
	for _, name := range names {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		own := template.Must(base.Clone()) // fails only after it was executed
		if _, err := own.ParseFS(from, name); err != nil {
			return nil, fmt.Errorf("read template %s: %w", name, err)
		}
		view.named[path.Base(name)] = own
	}
	return view, nil
}

// Render answers with a page.
func (v *View) Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) error {
	page, ok := v.named[name]
	if !ok {
		return fmt.Errorf("render %s: no such template", name)
	}
	chrome := v.pages.opts.Chrome(r)
	chrome.Style = v.pages.style
	var body bytes.Buffer
	err := page.ExecuteTemplate(&body, "layout.html", struct {
		Chrome
		Data any
	}{chrome, data})
	if err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "private, no-cache")
	}
	w.WriteHeader(status)
	_, _ = body.WriteTo(w) // the visitor has gone
	return nil
}
