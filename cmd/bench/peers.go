package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
)

// peer is a contender that may not be installed.
type peer struct {
	contender
	// find returns its version, or what is missing.
	find func(ctx context.Context, p *project) (version string, err error)
}

// pythonPeers run WSGI applications. The first one is the one that all figures stand beside.
func pythonPeers() []peer {
	return []peer{
		{contender{"nginx + uWSGI", startUWSGI}, findUWSGI},
		{contender{"nginx + gunicorn --preload", startGunicorn}, findGunicorn},
		{contender{"Apache + mod_wsgi", startApache}, findApache},
		{contender{"nginx + granian", startGranian}, findGranian},
		{contender{"NGINX Unit", startUnit}, findUnit},
	}
}

// filePeers answer with files.
func filePeers() []peer {
	return []peer{
		{contender{"nginx", startNginxAlone}, findNginx},
		{contender{"Apache", startApacheAlone}, findApacheAlone},
	}
}

// goPeers run the program of a Go site.
func goPeers() []peer {
	return []peer{
		{contender{"nginx + Go server", startNginxGo}, findNginx},
		{contender{"worker's own socket", startGoWorker}, func(context.Context, *project) (string, error) {
			return "the multisite worker without its front door", nil
		}},
	}
}

// installed returns those peers that are installed. It notes their versions, and which are
// missing.
func (b *bench) installed(ctx context.Context, r *report, p *project, peers []peer) []contender {
	var here []contender
	for _, peer := range peers {
		version, err := peer.find(ctx, p)
		if err != nil {
			r.note("%s: not here: %v", peer.name, err)
			continue
		}
		r.note("%s: %s", peer.name, version)
		here = append(here, peer.contender)
	}
	return here
}

// versionOf returns the version in the output of a command.
func versionOf(ctx context.Context, program string, args ...string) (string, error) {
	path, err := lookPath(program)
	if err != nil {
		return "", fmt.Errorf("%s is not installed", filepath.Base(program))
	}
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	version := regexp.MustCompile(`\d+(\.\d+)+`).FindString(string(out))
	if err != nil || version == "" {
		return "", fmt.Errorf("%s %s does not say its version", filepath.Base(program), strings.Join(args, " "))
	}
	return version, nil
}

// serving builds a server from its processes and waits until it answers. If it returns an
// error, the processes have exited.
func (b *bench) serving(ctx context.Context, s *server, sites []site, isFront func(proc) bool) (*server, error) {
	s.roots, s.isFront, s.stop = s.pids(), isFront, s.end
	if s.reload == nil {
		s.reload = s.signalReload
	}
	s.workers = func(context.Context) ([]int, error) { return s.leaves() }
	if err := s.awaitAnswers(ctx, sites); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// leaves returns the processes that run Python and have no children, which are the workers.
func (s *server) leaves() ([]int, error) {
	_, apps, err := s.split()
	parents := map[int]bool{}
	for _, p := range apps {
		parents[p.parent] = true
	}
	var pids []int
	for _, p := range apps {
		if !parents[p.pid] {
			pids = append(pids, p.pid)
		}
	}
	return pids, err
}

// newDir creates a directory for the files of a peer.
func (b *bench) newDir() (string, error) {
	dir, err := os.MkdirTemp(b.tmp, "p-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755)
}

// environment returns the environment for the Python of a peer.
func (p *project) environment(s site) []string {
	env := []string{"PYTHONPATH=" + p.dir + ":" + p.packages, "PYTHONDONTWRITEBYTECODE=1", "LANG=C.UTF-8"}
	env = append(env, p.env...)
	if s.settings != "" {
		env = append(env, "DJANGO_SETTINGS_MODULE="+s.settings)
	}
	return env
}

// whoRuns asks the first site which interpreter it runs on.
func whoRuns(ctx context.Context, s *server, sites []site) string {
	var answer struct{ Python string }
	c := &client{load: load{addr: s.addr, host: sites[0].host}}
	defer c.close()
	if err := c.exchange(ctx, page{"/whoami/", "python"}); err != nil {
		return "unknown"
	}
	if err := json.Unmarshal(c.body.Bytes(), &answer); err != nil {
		return "unknown"
	}
	return answer.Python
}

// me returns the name of the user that runs this program.
func me() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", err
	}
	return u.Username, nil
}
