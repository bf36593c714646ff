// Package runtimes makes from what sites.toml says of a site the options of the runtime
// that starts its workers, and their environment. It starts nothing itself, and knows
// nothing of a running supervisor: check and manage use it as well.
package runtimes

import (
	"log/slog"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/worker/goapp"
	"github.com/multisite/multisite/worker/process"
	"github.com/multisite/multisite/worker/wsgi"
)

// Plan is how the workers of one generation of a site are launched.
type Plan struct {
	Site *config.Site // what the generation is made for; it does not change

	// Warmup are the paths that a zygote requests, and Learned says that visitors have
	// decided which they are.
	Warmup  []string
	Learned bool

	// Now returns what sites.toml says of the site at the moment, for what may change
	// while the generation lives.
	Now func() *config.Site
	// Timeout returns startup_timeout, and the error of a start that takes longer.
	Timeout func() (time.Duration, error)

	At       func(path string) string // where a path of Site is; nil: there
	Sockets  string                   // directory of the workers' sockets
	StateDir string
	CodeDir  string   // of the Python workers' code
	Program  string   // this program, which runs the built-in Go apps
	Names    []string // host names of the site, for those apps
	Mark     string   // a variable of the environment; "": none

	Merge   bool                         // the kernel may merge pages of the workers
	Prepare func(*process.Process) error // called with each new worker before it serves
	Output  func(worker, line string)    // gets each line of a worker's output
	Log     *slog.Logger
}

// Env returns the whole environment of the workers.
func (p Plan) Env() []string { return Marked(Environment(p.Site), p.Mark) }

// Marked returns an environment with the mark of the supervisor; "" is none.
func Marked(env []string, mark string) []string {
	if mark == "" {
		return env
	}
	return append(env, mark)
}

// WSGI returns the options of a Python site.
func (p Plan) WSGI() wsgi.Options {
	c := p.Site
	return wsgi.Options{
		Site:       c.Name,
		Python:     c.Python,
		Settings:   c.Settings,
		Entry:      c.WSGI,
		PythonPath: c.PythonPath,
		Home:       c.Home,
		Mount:      c.Mount,
		Env:        p.Env(),
		Threads:    c.Threads,
		Processes:  c.Processes.Max,
		StackSize:  c.StackSize,

		Account: c.Account,
		Umask:   c.Umask,
		Tasks:   func() int { return p.Now().TasksLimit },
		Locale:  c.Locale,

		Preload:        wsgi.Preload(c.Preload.Mode),
		Warmup:         p.Warmup,
		Learned:        p.Learned,
		WarmupStrict:   c.Preload.WarmupStrict,
		Host:           warmupHost(c),
		Tricks:         tricks(c, p.Merge),
		StartupTimeout: p.Timeout,

		Prepare:   p.Prepare,
		At:        p.At,
		SocketDir: p.Sockets,
		CodeDir:   p.CodeDir,
		Output:    p.Output,
		Log:       p.Log,
	}
}

// Go returns the options of a Go site.
func (p Plan) Go() goapp.Options {
	c := p.Site
	o := goapp.Options{
		Site:      c.Name,
		Path:      c.App,
		Env:       p.Env(),
		Dir:       c.Home,
		At:        p.At,
		SocketDir: p.Sockets,
		Account:   c.Account,
		Umask:     c.Umask,
		Tasks:     func() int { return p.Now().TasksLimit },
		Prepare:   p.Prepare,
		Log:       p.Log,
		Output:    p.Output,
	}
	if c.Kind == config.Apps {
		o.Path, o.Args = p.Program, p.appArgs
	}
	return o
}

// appArgs returns the arguments with which this program is a worker of built-in apps.
func (p Plan) appArgs() []string {
	settings := p.Site.Settings
	if p.At != nil {
		settings = p.At(settings)
	}
	args := []string{"worker", "--settings", settings, "--state-dir", p.StateDir}
	for _, name := range p.Names {
		args = append(args, "--host", strings.TrimPrefix(name, "*"))
	}
	return args
}

// tricks returns the names of what the zygote does to keep its pages shared. A site that
// may sleep has no immortal objects unless sites.toml says so: to find them takes half a
// second, for which the visitor who wakes the site would wait.
func tricks(c *config.Site, merge bool) []string {
	p := c.Preload
	var names []string
	for _, t := range []struct {
		on   bool
		name string
	}{
		{p.GCFreeze, "gc"}, {p.GCFreeze, "freeze"}, {p.SealHeap, "seal"}, {p.RelocateCode, "relocate"},
		{p.Immortal == "on", "immortal"}, {p.Immortal == "auto" && c.Processes.Min > 0, "immortal-auto"}, {merge, "merge"},
	} {
		if t.on {
			names = append(names, t.name)
		}
	}
	return names
}

// warmupHost returns a host name that the site's own code accepts.
func warmupHost(c *config.Site) string {
	for _, name := range append([]string{c.ServerName}, c.Aliases...) {
		if name != "" && !strings.HasPrefix(name, "*") {
			return name
		}
	}
	return "localhost"
}
