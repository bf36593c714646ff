package goapp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/multisite/multisite/worker"
	"github.com/multisite/multisite/worker/process"
	"golang.org/x/sys/unix"
)

// app is go-plugin's view of a process: a runner.Runner. Its stdout is a pipe of
// its own for the handshake alone, and its stderr is empty: what the program
// writes goes to process.Output and never through go-plugin.
type app struct {
	*process.Process
	name      string
	handshake *os.File // the end to read from
	path      string   // of the control socket's directory, made by go-plugin for us
	dir       *os.File // the same, open: /proc/self/fd/N is short enough for a socket
}

// startApp starts the program with what worker.Serve expects.
func startApp(o Options, id string, env []string, dir string, listener *os.File, deadline time.Time) (*app, error) {
	a := &app{name: o.Path, path: dir}
	if err := a.start(o, id, env, listener, deadline); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *app) start(o Options, id string, env []string, listener *os.File, deadline time.Time) (err error) {
	if as := o.Account; as != nil {
		if err := os.Lchown(a.path, as.UID, as.GID); err != nil {
			return fmt.Errorf("hand over control directory: %w", err)
		}
	}
	if a.dir, err = os.OpenFile(a.path, unix.O_PATH|unix.O_DIRECTORY, 0); err != nil {
		return fmt.Errorf("open control directory: %w", err)
	}
	r, w, err := process.Pipe(o.Account)
	if err != nil {
		return fmt.Errorf("make handshake pipe: %w", err)
	}
	defer w.Close()
	a.handshake = r
	// The pipe stays open for as long as anyone holds it: a daemon that the program left.
	if err := r.SetReadDeadline(deadline); err != nil {
		return fmt.Errorf("make handshake pipe: %w", err)
	}
	output, err := process.NewOutput(o.Account, func(line string) { o.Output(id, line) })
	if err != nil {
		return fmt.Errorf("make output: %w", err)
	}
	a.Process, err = process.Start(process.Command{
		Path:   o.Path,
		Args:   append([]string{o.Path}, o.Args()...),
		Env:    environment(o.Env, env),
		Dir:    o.Dir,
		Files:  []*os.File{listener, w, a.dir}, // ListenFD, HandshakeFD, ControlDirFD
		Output: output,

		Account: o.Account,
		Umask:   o.Umask,
		Tasks:   o.Tasks(),
	})
	return err
}

// environment puts our own variables first: the first of two with one name counts,
// and stays alone, since to a shell on the way the last one would.
func environment(site, plugins []string) []string {
	env := []string{
		worker.ListenEnv + "=" + strconv.Itoa(worker.ListenFD),
		plugin.EnvUnixSocketDir + "=" + descriptorPath(worker.ControlDirFD),
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Concat(env, plugins, site), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		again := seen[name]
		seen[name] = true
		return again
	})
}

// close drops what only the start needs. A connected control socket needs no name.
func (a *app) close() {
	a.handshake.Close() // nil is no error that matters, here and below
	a.dir.Close()
	a.removeDir()
}

// mostInDir is more than go-plugin puts into the directory of a control socket.
const mostInDir = 16

// removeDir removes the control socket and its directory. What else the program has put
// there stays until its generation ends: a launch does not wait for who adds to it.
func (a *app) removeDir() {
	if dir, err := os.Open(a.path); err == nil {
		names, _ := dir.Readdirnames(mostInDir)
		for _, name := range names {
			_ = os.Remove(filepath.Join(a.path, name))
		}
		dir.Close()
	}
	_ = os.Remove(a.path)
}

func descriptorPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// The methods of runner.Runner.

func (a *app) Start(context.Context) error     { return nil } // it runs already
func (a *app) Diagnose(context.Context) string { return "" }
func (a *app) Stdout() io.ReadCloser           { return a.handshake }
func (a *app) Stderr() io.ReadCloser           { return io.NopCloser(strings.NewReader("")) }
func (a *app) Name() string                    { return a.name }
func (a *app) ID() string                      { return strconv.Itoa(a.PID()) }
func (a *app) Wait(context.Context) error      { <-a.Done(); return nil }
func (a *app) Kill(context.Context) error      { a.Process.Kill(); return nil }

// PluginToHost turns the worker's name of its control socket into ours.
func (a *app) PluginToHost(network, address string) (string, string, error) {
	name, ok := strings.CutPrefix(address, descriptorPath(worker.ControlDirFD)+"/")
	if network != "unix" || !ok || strings.Contains(name, "/") {
		return "", "", errors.New("the control socket is not where it should be")
	}
	return network, descriptorPath(int(a.dir.Fd())) + "/" + name, nil
}

// HostToPlugin is only for sockets of ours that a plugin calls back: there are none.
func (a *app) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
