package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/statedir"
	"github.com/multisite/multisite/worker/process"
	"github.com/multisite/multisite/worker/wsgi"
)

// Takeover is what a program says of itself that is to replace a running supervisor:
// `multisite takeover` prints it.
type Takeover struct {
	Handover int      `json:"handover"` // the version of the handover that it understands
	Version  string   `json:"version"`
	StateDir string   `json:"state_dir"`
	Listen   []string `json:"listen"`
}

// PrepareTakeover does what could fail after the program has been replaced, and returns
// what this program is. stateDir is the running supervisor's, which may have been moved
// or removed since.
func PrepareTakeover(cfg *config.Config, stateDir, version string) (Takeover, error) {
	if stateDir == "" { // the running version does not name it
		stateDir = cfg.StateDir
	}
	if err := statedir.Keep(stateDir); err != nil {
		return Takeover{}, err
	}
	if slices.ContainsFunc(cfg.Sites, func(c *config.Site) bool { return c.Kind == config.WSGI }) {
		if err := wsgi.Install(statedir.CodeDir(stateDir)); err != nil {
			return Takeover{}, err
		}
	}
	return Takeover{Handover: handoverVersion, Version: version, StateDir: cfg.StateDir, Listen: cfg.Listen}, nil
}

// askTime is how long a program may take to print its Takeover.
const askTime = 30 * time.Second

// successor is a program that can take over.
type successor struct {
	Takeover
	file *os.File // kept open, so that the program which was asked is the one that is executed
}

func (n *successor) path() string { return fmt.Sprintf("/proc/self/fd/%d", n.file.Fd()) }

func refusal(path, reason string) error {
	return &control.Error{Message: fmt.Sprintf("%s cannot take over: %s; nothing has changed", path, reason)}
}

// findSuccessor asks a program whether it can take over. If it cannot, the error says
// why.
func (u *upgrader) findSuccessor(ctx context.Context, path string) (*successor, error) {
	refused := func(reason string) error { return refusal(path, reason) }
	file, err := os.Open(path)
	if err != nil {
		return nil, refused(reasonOf(err))
	}
	n := &successor{file: file}
	if n.Takeover, err = u.ask(ctx, n.path(), path); err != nil {
		file.Close()
		return nil, refused(reasonOf(err))
	}
	switch cfg := u.super.config(); {
	case n.Handover != handoverVersion:
		err = refused(fmt.Sprintf("it understands version %d of the handover, this is version %d", n.Handover, handoverVersion))
	case n.StateDir != cfg.StateDir:
		err = refused("state_dir has changed in sites.toml")
	case !u.super.endpoints.external && !slices.Equal(n.Listen, cfg.Listen):
		err = refused("listen has changed in sites.toml")
	default:
		return n, nil
	}
	file.Close()
	return nil, err
}

// reasonOf returns the text of an error, of a system call only what has failed.
func reasonOf(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

// ask runs a program, by its name, with the arguments that make it print its Takeover.
func (u *upgrader) ask(ctx context.Context, program, name string) (t Takeover, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askTime, fmt.Errorf("it does not answer within %v", askTime))
	defer cancel()
	var lines []string // complete when the process is done
	output, err := process.NewOutput(nil, func(line string) { lines = append(lines, line) })
	if err != nil {
		return t, err
	}
	p, err := process.Start(process.Command{
		Path: program, Args: append(append([]string{name}, u.takeover...), "--state-dir", u.super.dirs.state),
		Env: os.Environ(), Dir: "/", Output: output,
	})
	if err != nil {
		return t, err
	}
	stop := context.AfterFunc(ctx, p.Kill)
	defer stop()
	<-p.Done()
	if ctx.Err() != nil {
		return t, context.Cause(ctx)
	}
	if p.Exit() != (process.Exit{}) {
		return t, errors.New(failureReason(lines, p.Exit()))
	}
	if len(lines) == 0 || json.Unmarshal([]byte(lines[len(lines)-1]), &t) != nil || t.Handover == 0 {
		return t, errors.New("it is not a multisite that knows how")
	}
	return t, nil
}

// failureReason returns the error that a multisite has printed, or how it has exited.
func failureReason(lines []string, exit process.Exit) string {
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, "multisite: error: "); ok {
			return text
		}
	}
	return exit.String()
}
