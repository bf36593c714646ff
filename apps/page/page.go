// Package page renders pages: one layout and one style sheet around the templates of all
// apps.
//
// A page is rendered completely before its first byte is sent, so a template that fails
// leads to a 500 and not to half a page. Pages have no script and no inline style; the
// Content-Security-Policy forbids both.
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
	User     string // name; "" if nobody is logged in
	Login    string // URL path, as are Logout and Account; "" is not shown
	Logout   string
	Account  string
	Messages []Message
	Style    string // URL of the style sheet; Render sets it
}

// Link is one entry of the navigation.
type Link struct {
	Label, Path string
	Current     bool // whether the page is below it
}

// Message is shown to a visitor once. Level is "success" or "error".
type Message struct{ Level, Text string }

// Options are what Pages need from the site.
type Options struct {
	Chrome func(*http.Request) Chrome // called for each page
	Zone   *time.Location             // of the dates that pages show
	Log    *slog.Logger
	Debug  bool // whether an error page shows the error
}

// Pages has the layout around the templates of all apps. It does not change.
type Pages struct {
	opts   Options
	layout *template.Template
	errors *View  // of error.html
	style  string // URL of the style sheet
}

// New parses the layout.
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

// View is the templates of one app. It does not change.
type View struct {
	pages *Pages
	named map[string]*template.Template
}

// View parses templates. Each defines "title" and "main"; its dot is the data that
// Render is given. A file whose name begins with "_" is shared by all others.
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
		own := template.Must(base.Clone()) // Clone fails only for a template that was executed
		if _, err := own.ParseFS(from, name); err != nil {
			return nil, fmt.Errorf("read template %s: %w", name, err)
		}
		view.named[path.Base(name)] = own
	}
	return view, nil
}

// Render answers with the page of a template.
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
	_, _ = body.WriteTo(w) // it fails if the client has closed the connection
	return nil
}
