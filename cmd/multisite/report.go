package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/statedir"
)

// usageError is a mistake in the command line.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }

// hintedError is a failure with a hint what to do about it.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }

// exitError is a failure that was reported already.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// report prints err for a person and returns its exit code.
func report(w io.Writer, err error) int {
	w = escaped(w)
	var (
		usage    *usageError
		hinted   *hintedError
		exit     *exitError
		call     *control.Error
		running  *statedir.RunningError
		refused  *statedir.RefusedError
		problems tomlfile.Problems
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &problems):
		for _, p := range problems {
			p.File = fromHere(p.File)
			say(w, p.Error(), p.Hint, "")
		}
		return 2
	case errors.As(err, &usage):
		say(w, usage.Error(), usage.hint, "")
		return 2
	case errors.As(err, &call):
		var detail strings.Builder // further mistakes in sites.toml, or a traceback, whose lines are indented
		for line := range strings.Lines(call.Detail) {
			detail.WriteString(fromHere(line))
		}
		say(w, fromHere(call.Message), call.Hint, detail.String())
		if call.Usage {
			return 2
		}
		return 1
	case errors.As(err, &hinted):
		say(w, hinted.Error(), hinted.hint, "")
		return 1
	case errors.As(err, &refused):
		say(w, refused.Reason, refused.Hint, "")
		return 1
	case errors.As(err, &running):
		say(w, running.Error(), "multisite status shows it, multisite down stops it", "")
		return 1
	}
	say(w, err.Error(), "", "")
	return 1
}

// fromHere removes the working directory from the front of a text that begins with a
// path.
func fromHere(text string) string {
	dir, err := os.Getwd()
	if err != nil || dir == "/" {
		return text
	}
	return strings.TrimPrefix(text, dir+"/")
}

// say prints a message with its hint, if there is one, and the detail, unless the message
// ends with it.
func say(w io.Writer, message, hint, detail string) {
	fmt.Fprintf(w, "multisite: error: %s\n", message)
	detail = strings.TrimRight(detail, "\n")
	if !strings.HasSuffix(message, detail) { // which is true if there is none
		fmt.Fprintln(w, detail)
	}
	if hint != "" {
		fmt.Fprintf(w, "multisite: hint: %s\n", hint)
	}
}
