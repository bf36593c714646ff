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
	patience = 60 * time.Second // for a server to answer first
	grace    = 10 * time.Second // for a server to end when told so
)

// site is a website as every contender is told to run it.
type site struct {
	name      string
	host      string
	settings  string // of Django; "": bare
	entry     string // "module:callable"
	processes int
	pages     []page // what is asked of it
}

// contender is a kind of server that can run the sites.
type contender struct {
	name  string
	start func(ctx context.Context, b *bench, p *project, sites []site) (*server, error)
}

// server is a contender that runs.
type server struct {
	name    string
	addr    string          // of its front door
	roots   []int           // every process of it descends from one of these
	isFront func(proc) bool // tells the front door from what runs Python
	workers func(context.Context) ([]int, error)
	children
	stop   func() // ends all of it
	reload func(context.Context) error
	remark string // what the reader must know of it
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

// children are the processes that a server consists of.
type children struct{ all []*process.Process }

// start starts a program of the server in the foreground.
func (c *children) start(dir string, env []string, program string, args ...string) error {
	path, err := lookPath(program)
	if err != nil {
		return err
	}
	output, err := process.NewOutput(nil, func(string) {}) // its tail is kept
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

// end ends them, the front door first.
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

// ended returns an error when one of them runs no more.
func (c *children) ended() error {
	for _, p := range c.all {
		select {
		case <-p.Done():
			return fmt.Errorf("it ended (%s):\n%s", p.Exit(), strings.Join(p.Tail(), "\n"))
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
			if got.bad > 0 { // else ctx has ended
				why = got.why
			}
			if err := s.ended(); err != nil {
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

// lookPath finds a program, those for administrators included.
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
