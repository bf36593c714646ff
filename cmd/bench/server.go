package main

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/multisite/multisite/worker/process"
)

const (
	patience = 60 * time.Second // for the first answer of a server
	grace    = 10 * time.Second // for a server to exit
)

// site is a website, described for every contender.
type site struct {
	name      string
	host      string
	settings  string // Django settings module; "" for the bare site
	entry     string // "module:callable"
	processes int
	pages     []page // the pages to request

	threads    int    // of each process; 0 is 1
	trusted    bool   // its clients are trusted proxies
	perAddress int    // how many requests one address may have at once; 0 is no limit
	static     string // directory that is served below /static/
	program    string // path of a Go program, instead of Python
	tls        string // directory of its certificate, where it is served with TLS, too
}

// threaded returns the threads of each process.
func (s site) threaded() int { return max(s.threads, 1) }

// contender is a kind of server that can run the sites.
type contender struct {
	name  string
	start func(ctx context.Context, b *bench, p *project, sites []site) (*server, error)
}

// server is a running contender.
type server struct {
	name    string
	addr    string          // of its front door
	tlsAddr string          // where that speaks TLS, for sites that have a certificate
	roots   []int           // every process of it descends from one of these
	isFront func(proc) bool // reports whether a process belongs to the front door; the others run Python
	workers func(context.Context) ([]int, error)
	children
	stop   func() // ends all of its processes
	reload func(context.Context) error
	remark string                      // a remark for the reader of the report
	settle func(context.Context) error // returns when it has adapted to its visitors, and sets remark; nil: it never does
}

// split returns the processes of the front door and all others.
func (s *server) split() (front, apps []proc, err error) {
	all, err := tree(s.roots...)
	for _, p := range all {
		if s.isFront(p) {
			front = append(front, p)
		} else {
			apps = append(apps, p)
		}
	}
	return front, apps, err
}

// children are the processes of a server.
type children struct{ all []*process.Process }

// start starts a program of the server in the foreground.
func (c *children) start(dir string, env []string, program string, args ...string) error {
	path, err := lookPath(program)
	if err != nil {
		return err
	}
	output, err := process.NewOutput(nil, func(string) {}) // keeps the last lines
	if err != nil {
		return err
	}
	p, err := process.Start(process.Command{
		Path: path, Args: append([]string{path}, args...), Dir: dir, Env: append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, env...), Output: output,
	})
	if err != nil {
		return err
	}
	c.all = append(c.all, p)
	return nil
}

// end ends all of them, the front door first.
func (c *children) end() {
	for i := len(c.all) - 1; i >= 0; i-- {
		c.all[i].Stop(grace)
	}
}

func (c *children) pids() []int {
	var pids []int
	for _, p := range c.all {
		pids = append(pids, p.PID())
	}
	return pids
}

// check returns an error if one of them has exited.
func (c *children) check() error {
	for _, p := range c.all {
		select {
		case <-p.Done():
			return fmt.Errorf("it exited (%s):\n%s", p.Exit(), strings.Join(p.Tail(), "\n"))
		default:
		}
	}
	return nil
}

// awaitAnswers returns when every site gives the right answer.
func (s *server) awaitAnswers(ctx context.Context, sites []site) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, site := range sites {
		var why string
		for {
			got := load{addr: s.addr, host: site.host, pages: site.pages[:1], connections: 1, requests: 1}.run(ctx)
			if got.good == 1 {
				break
			}
			if got.bad > 0 { // otherwise ctx is done
				why = got.why
			}
			if err := s.check(); err != nil {
				return err
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return fmt.Errorf("site %s does not answer: %s", site.name, why)
			}
		}
	}
	return nil
}

// lookPath finds a program, also in the directories for administrators.
func lookPath(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return filepath.Abs(path)
	}
	return exec.LookPath(filepath.Join("/usr/sbin", program))
}

// freePort returns a port of loopback that nobody listens on.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
