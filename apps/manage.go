package apps

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/db"
	"github.com/multisite/multisite/apps/settings"
	"github.com/multisite/multisite/apps/tomlfile"
)

// The exit codes of Manage.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// command is one run of Manage. settings, installed and db are set before its action runs.
type command struct {
	settings  settings.Settings
	installed []app.App
	db        *db.DB
	stdin     io.Reader
	stdout    io.Writer
	stderr    io.Writer
}

// action is a command of Manage. Its flags and arguments are checked before the database
// is opened.
type action struct {
	usage string // how it is written
	about string // what it does
	run   func(ctx context.Context, c *command, flags *flag.FlagSet) error
	flags func(*flag.FlagSet) // defines its flags; nil if it has none
	args  func(n int) bool    // reports whether it takes n arguments
}

func actions() map[string]action {
	none := func(n int) bool { return n == 0 }
	one := func(n int) bool { return n == 1 }
	return map[string]action{
		"migrate":         {"migrate", "bring the database up to date", migrate, nil, none},
		"createsuperuser": {"createsuperuser --username NAME [--email ADDRESS]", "add a user who may do everything; the password is asked for, or read from standard input", createSuperuser, superuserFlags, none},
		"changepassword":  {"changepassword NAME", "give a user another password; it is asked for, or read from standard input", changePassword, nil, one},
		"dumpdata":        {"dumpdata [APP...] > FILE", "write what the apps have in the database, as JSON", dumpData, nil, func(int) bool { return true }},
		"loaddata":        {"loaddata FILE (or - for standard input)", "read what dumpdata has written", loadData, nil, one},
		"dbshell":         {"dbshell", "give SQL to the database", dbShell, nil, none},
		"backup":          {"backup FILE", "copy the database to a file while it is in use", backup, nil, one},
	}
}

// usageError is a mistake in the command line.
type usageError struct{ text, hint string }

func (u usageError) Error() string { return u.text }

// Manage runs one management command for a site, as Django's manage.py does, and returns
// the exit code. It first applies missing migrations.
func Manage(ctx context.Context, settingsPath string, opts Options, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	err := manage(ctx, settingsPath, opts.withDefaults(), args, &command{stdin: stdin, stdout: stdout, stderr: stderr})
	var help helpRequest
	var usage usageError
	var problems tomlfile.Problems
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &help):
		_, _ = io.WriteString(stdout, help.text)
		return exitDone
	case errors.As(err, &usage):
		printError(stderr, usage.text, usage.hint)
		return exitUsage
	case errors.As(err, &problems):
		for _, p := range problems {
			printError(stderr, p.Error(), p.Hint)
		}
		return exitUsage
	}
	printError(stderr, err.Error(), "")
	return exitFailed
}

func manage(ctx context.Context, settingsPath string, opts Options, args []string, c *command) (err error) {
	do, flags, err := parseCommand(args)
	if err != nil {
		return err
	}
	if c.settings, c.installed, err = load(settingsPath, opts); err != nil {
		return err
	}
	if c.db, err = db.Open(ctx, c.settings.Database); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.db.Close()) }()
	applied, err := bringUpToDate(ctx, c.db, c.settings, c.installed)
	for _, name := range applied {
		_, _ = fmt.Fprintln(c.stderr, "applied", name)
	}
	if err != nil {
		return err
	}
	return do.run(ctx, c, flags)
}

// helpRequest is the answer to a command line that asks for help.
type helpRequest struct{ text string }

func (h helpRequest) Error() string { return h.text }

// overview returns every command and what it does.
func overview() helpRequest {
	all := actions()
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s\n    %s\n", all[name].usage, all[name].about)
	}
	return helpRequest{b.String()}
}

// parseCommand returns the command and its flags, and checks its arguments.
func parseCommand(args []string) (action, *flag.FlagSet, error) {
	const known = "there are migrate, createsuperuser, changepassword, dumpdata, loaddata, dbshell, backup"
	if len(args) == 0 {
		return action{}, nil, usageError{"manage what?", known}
	}
	if slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		if len(args) == 1 {
			return action{}, nil, overview()
		}
		args = []string{args[1], "--help"}
	}
	do, ok := actions()[args[0]]
	if !ok {
		return action{}, nil, usageError{fmt.Sprintf("unknown management command %q", args[0]), known}
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	if do.flags != nil {
		do.flags(flags)
	}
	switch err := flags.Parse(args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return action{}, nil, helpRequest{fmt.Sprintf("usage: %s\n\n%s\n", do.usage, do.about)}
	case err != nil:
		return action{}, nil, usageError{args[0] + ": " + err.Error(), "usage: " + do.usage}
	}
	if !do.args(flags.NArg()) {
		return action{}, nil, usageError{args[0] + ": wrong arguments: " + strings.Join(flags.Args(), " "), "usage: " + do.usage}
	}
	return do, flags, nil
}

// printError writes an error and its hint, if it has one, as multisite does.
func printError(stderr io.Writer, text, hint string) {
	_, _ = fmt.Fprintln(stderr, "multisite: error:", text)
	if hint != "" {
		_, _ = fmt.Fprintln(stderr, "multisite: hint:", hint)
	}
}

// migrate has nothing to do: Manage has applied the migrations.
func migrate(_ context.Context, c *command, _ *flag.FlagSet) error {
	_, err := fmt.Fprintln(c.stdout, "The database is up to date:", c.settings.Database)
	return err
}

func backup(ctx context.Context, c *command, flags *flag.FlagSet) error {
	if err := c.db.Backup(ctx, flags.Arg(0)); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.stdout, "Backed up to", flags.Arg(0))
	return err
}
