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

// Takeover is what a program says of itself that shall replace a running
// supervisor: `multisite takeover` prints it.
type Takeover struct {
	Handover int      `json:"handover"` // the version that it understands
	Version  string   `json:"version"`
	StateDir string   `json:"state_dir"`
	Listen   []string `json:"listen"`
}

// PrepareTakeover does what could fail after the program has been replaced, and
// says who we are.
// stateDir is the running supervisor's, which may have been moved or removed since.
func PrepareTakeover(cfg *config.Config, stateDir, version string) (Takeover, error) {
	if stateDir == "" { // it is of a version that does not say
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

// askTime is how long a program may take to say who it is.
const askTime = 30 * time.Second

// successor is a program that can take over.
type successor struct {
	Takeover
	file *os.File // open, so that what was asked is what will run
}

func (n *successor) path() string { return fmt.Sprintf("/proc/self/fd/%d", n.file.Fd()) }

func refusal(path, reason string) error {
	return &control.Error{Message: fmt.Sprintf("%s can not take over: %s; nothing has changed", path, reason)}
}

// findSuccessor asks a program whether it can take over. Why it can not is an error
// for whoever wants it to.
func (s *Supervisor) findSuccessor(ctx context.Context, path string) (*successor, error) {
	refused := func(reason string) error { return refusal(path, reason) }
	file, err := os.Open(path)
	if err != nil {
		return nil, refused(reasonOf(err))
	}
	n := &successor{file: file}
	if n.Takeover, err = s.ask(ctx, n.path(), path); err != nil {
		file.Close()
		return nil, refused(reasonOf(err))
	}
	switch cfg := s.config(); {
	case n.Handover != handoverVersion:
		err = refused(fmt.Sprintf("it understands version %d of the handover, this is version %d", n.Handover, handoverVersion))
	case n.StateDir != cfg.StateDir:
		err = refused("state_dir has changed in sites.toml")
	case !s.endpoints.external && !slices.Equal(n.Listen, cfg.Listen):
		err = refused("listen has changed in sites.toml")
	default:
		return n, nil
	}
	file.Close()
	return nil, err
}

// reasonOf is the error without the words of the system call.
func reasonOf(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

// ask runs a program, by its name, with the arguments that make it print its Takeover.
func (s *Supervisor) ask(ctx context.Context, program, name string) (t Takeover, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askTime, fmt.Errorf("it does not answer within %v", askTime))
	defer cancel()
	var lines []string // all are there when the process is done
	output, err := process.NewOutput(nil, func(line string) { lines = append(lines, line) })
	if err != nil {
		return t, err
	}
	p, err := process.Start(process.Command{
		Path: program, Args: append(append([]string{name}, s.takeover...), "--state-dir", s.dirs.state),
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
		return t, errors.New(lastWord(lines, p.Exit()))
	}
	if len(lines) == 0 || json.Unmarshal([]byte(lines[len(lines)-1]), &t) != nil || t.Handover == 0 {
		return t, errors.New("it is not a multisite that knows how")
	}
	return t, nil
}

// lastWord is why a program of ours has failed, or how it ended.
func lastWord(lines []string, exit process.Exit) string {
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, "multisite: error: "); ok {
			return text
		}
	}
	return exit.String()
}
