package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/multisite/multisite/supervisor/statedir"
)

// outcome is what the background process reports to the `up -d` that started it, which
// prints both texts and exits with the code.
type outcome struct {
	Code   int    `json:"code"`
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
}

// upDetached starts `multisite up` in a session of its own, and returns when it reports
// that the sites run or why they do not.
func (c *cli) upDetached(ctx context.Context, stdout, stderr io.Writer, watch bool) error {
	cfg, err := c.load()
	if err != nil {
		return err // reported here, so that the hint is printed too
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if err := statedir.Make(cfg.StateDir); err != nil {
		return err
	}
	if err := statedir.MakeLogs(cfg.LogDir); err != nil {
		return err
	}
	out, err := os.OpenFile(filepath.Join(cfg.LogDir, "multisite.out"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command(program, "up", "--report-fd", "3")
	if path, named := c.path(); named {
		cmd.Args = append(cmd.Args, "--config", path)
	}
	if watch {
		cmd.Args = append(cmd.Args, "--watch")
	}
	cmd.Stdout, cmd.Stderr = out, out // nothing is written there unless the supervisor crashes
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, func() { r.Close() })()
	var o outcome
	err = c.awaitOutcome(ctx, stderr, r, &o)
	if ctx.Err() != nil && err != nil {
		return &hintedError{err: errors.New("interrupted; the sites go on starting in the background"), hint: "multisite status shows how far they are, multisite down stops them"}
	}
	if err != nil {
		err = cmd.Wait()
		return &hintedError{err: fmt.Errorf("the supervisor exited: %v", err), hint: "see " + out.Name()}
	}
	fmt.Fprint(stdout, o.Stdout)
	fmt.Fprint(os.Stderr, o.Stderr)
	if o.Code != 0 {
		return &exitError{o.Code}
	}
	return nil
}

// awaitOutcome reads what the background process reports, and shows meanwhile what it
// waits for.
func (c *cli) awaitOutcome(ctx context.Context, stderr io.Writer, r io.Reader, o *outcome) error {
	if client, err := c.client(); err == nil {
		defer watchProgress(ctx, client, newProgress(stderr, nil))()
	}
	return json.NewDecoder(r).Decode(o)
}

// upReporting is the background half of `up -d`.
func (c *cli) upReporting(ctx context.Context, watch bool, to *os.File) error {
	reported := false
	ready := func(summary string, err error) {
		var text strings.Builder
		o := outcome{Code: report(&text, err), Stdout: summary}
		o.Stderr = text.String()
		_ = json.NewEncoder(to).Encode(o) // `up -d` may have been interrupted
		to.Close()
		reported = true
	}
	err := c.up(ctx, watch, nil, nil, ready)
	if !reported {
		ready("", err)
	}
	return err
}
