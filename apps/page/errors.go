package page

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Problem is an error that the visitor may see.
type Problem struct {
	Status int
	Text   string // a sentence; may be ""
}

// Error implements error.
func (p Problem) Error() string { return fmt.Sprintf("%d: %s", p.Status, p.Text) }

// ErrNotFound makes Handle answer 404.
var ErrNotFound error = Problem{Status: http.StatusNotFound, Text: "There is no such page on this site."}

// HandlerFunc is an http.HandlerFunc that returns an error.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// Handle returns a handler that answers an error of do with an error page.
func (p *Pages) Handle(do HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := do(w, r); err != nil {
			p.Fail(w, r, err)
		}
	})
}

// Fail answers with an error page. It logs an error that is not the visitor's mistake.
func (p *Pages) Fail(w http.ResponseWriter, r *http.Request, err error) {
	problem := Problem{Status: http.StatusInternalServerError, Text: "Something went wrong here. It has been written down."}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &problem):
	case errors.As(err, &tooLarge):
		problem = Problem{Status: http.StatusRequestEntityTooLarge, Text: "That is more than this site takes at once."}
	case r.Context().Err() != nil:
		return // the client has closed the connection
	default:
		p.opts.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		if p.opts.Debug {
			problem.Text = err.Error()
		}
	}
	data := struct {
		Title string
		Problem
	}{http.StatusText(problem.Status), problem}
	if err := p.errors.Render(w, r, problem.Status, "error.html", data); err != nil {
		p.opts.Log.Error("error page failed", "path", r.URL.Path, "error", err)
		http.Error(w, http.StatusText(problem.Status), problem.Status)
	}
}

// Sentence returns the text of an error as a sentence: with a capital and a period.
func Sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
