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

// app is a process as go-plugin sees it: a runner.Runner. Its stdout is a pipe for the
// handshake alone, and its stderr is empty: what the program writes goes to process.Output
// and never through go-plugin. It exists only while a worker is launched.
type app struct {
	*process.Process          // outlives the app, in its Worker
	name             string   // of the program, for go-plugin's messages
	handshake        *os.File // the reading end of the pipe
	path             string   // of the directory for the control socket, which go-plugin has created
	dir              *os.File // that directory: /proc/self/fd/N is short enough for a socket's address
}

// startApp starts the program with the descriptors and variables that worker.Serve expects.
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
			return fmt.Errorf("change owner of control directory: %w", err)
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
	// The pipe stays open as long as any process holds it, such as a daemon that the program
	// has started.
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

// environment returns our variables, go-plugin's and the site's. Of several with the same
// name only the first is kept: a Go program would take the first, but a shell in between
// the last.
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

// close closes what only the launch needs.
func (a *app) close() {
	a.handshake.Close() // of a nil file, too: that only returns an error
	a.dir.Close()
	a.removeDir()
}

// maxInDir is more than go-plugin puts into the directory of a control socket.
const maxInDir = 16

// removeDir removes the directory of the control socket. If the program has put more files
// there, they stay until the generation ends: a launch must not depend on how many.
func (a *app) removeDir() {
	if dir, err := os.Open(a.path); err == nil {
		names, _ := dir.Readdirnames(maxInDir)
		for _, name := range names {
			_ = os.Remove(filepath.Join(a.path, name))
		}
		dir.Close()
	}
	_ = os.Remove(a.path)
}

func descriptorPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// These methods make an app a runner.Runner.

func (a *app) Start(context.Context) error     { return nil } // it runs since startApp
func (a *app) Diagnose(context.Context) string { return "" }
func (a *app) Stdout() io.ReadCloser           { return a.handshake }
func (a *app) Stderr() io.ReadCloser           { return io.NopCloser(strings.NewReader("")) }
func (a *app) Name() string                    { return a.name }
func (a *app) ID() string                      { return strconv.Itoa(a.PID()) }
func (a *app) Wait(context.Context) error      { <-a.Done(); return nil }
func (a *app) Kill(context.Context) error      { a.Process.Kill(); return nil }

// PluginToHost returns the path by which the supervisor reaches the control socket that the
// worker has named.
func (a *app) PluginToHost(network, address string) (string, string, error) {
	name, ok := strings.CutPrefix(address, descriptorPath(worker.ControlDirFD)+"/")
	if network != "unix" || !ok || strings.Contains(name, "/") {
		return "", "", errors.New("the control socket is not where it should be")
	}
	return network, descriptorPath(int(a.dir.Fd())) + "/" + name, nil
}

// HostToPlugin is for sockets of the supervisor that a plugin connects to. There are none.
func (a *app) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
