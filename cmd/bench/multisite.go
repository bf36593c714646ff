package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/status"
)

// multisite is a running multisite, with what only it can do.
type multisite struct {
	server
	bench  *bench
	dir    string        // of its sites.toml
	up     time.Duration // duration of `multisite up -d`
	client *control.Client
}

// multisiteContender returns multisite with more lines in [defaults] of its sites.toml.
func multisiteContender(name, defaults string) contender {
	return otherMultisite(name, "", defaults)
}

// otherMultisite returns the multisite of another binary, as of a version before.
func otherMultisite(name, binary, defaults string) contender {
	return contender{name: name, start: func(ctx context.Context, b *bench, p *project, sites []site) (*server, error) {
		if binary != "" {
			other := *b
			other.binary = binary
			b = &other
		}
		m, err := b.startMultisite(ctx, sitesTOML(p, sites, defaults), sites)
		if err != nil {
			return nil, err
		}
		m.name = name
		if m.remark, err = m.sharing(ctx); err != nil {
			m.end()
			return nil, err
		}
		return &m.server, nil
	}}
}

// sitesTOML returns a sites.toml with the sites.
func sitesTOML(p *project, sites []site, defaults string) string {
	var t strings.Builder
	t.WriteString("listen = \"127.0.0.1:0\"\n")
	if sites[0].tls != "" {
		t.WriteString("listen_tls = \"127.0.0.1:0\"\n")
	}
	if sites[0].trusted {
		t.WriteString("trusted_proxies = [\"127.0.0.1\"]\n")
	}
	fmt.Fprintf(&t, "[defaults]\npython_path = [%q]\npython_home = %q\nmax_body = \"200MB\"\nlisten_backlog = 1000\n%s\n", p.dir, p.python, defaults)
	for _, s := range sites {
		fmt.Fprintf(&t, "[site.%s]\nserver_name = %q\n", s.name, s.host)
		if s.processes > 0 {
			fmt.Fprintf(&t, "processes = %d\n", s.processes)
		}
		switch {
		case s.program != "":
			fmt.Fprintf(&t, "app = %q\n", s.program)
		case s.settings != "":
			fmt.Fprintf(&t, "settings = %q\nwarmup = [\"/\", \"/hello/\", \"/admin/login/\"]\n", s.settings)
		default:
			fmt.Fprintf(&t, "wsgi = %q\nwarmup = []\n", s.entry)
		}
		if s.threads > 0 {
			fmt.Fprintf(&t, "threads = %d\n", s.threads)
		}
		if s.perAddress > 0 {
			fmt.Fprintf(&t, "max_clients_per_ip = %d\n", s.perAddress)
		}
		if s.tls != "" {
			fmt.Fprintf(&t, "tls = { cert = %q, key = %q }\nhttps = \"both\"\n", certFile(s.tls), keyFile(s.tls))
		}
		if s.static != "" {
			fmt.Fprintf(&t, "static = { \"/static/\" = %q }\n", s.static)
		}
	}
	return t.String()
}

// startMultisite runs `multisite up -d` and returns when the sites answer.
func (b *bench) startMultisite(ctx context.Context, toml string, sites []site) (*multisite, error) {
	dir, err := os.MkdirTemp(b.tmp, "m-")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "sites.toml"), []byte(toml), 0o600); err != nil {
		return nil, err
	}
	m := &multisite{bench: b, dir: dir, client: control.NewClient(filepath.Join(dir, ".multisite"))}
	m.stop = m.end
	begin := time.Now()
	if _, err := m.command(ctx, "up", "-d"); err != nil {
		m.end()
		return nil, err
	}
	m.up = time.Since(begin)
	st, err := m.client.Status(ctx)
	if err != nil {
		return nil, err
	}
	pid := st.Supervisor.PID
	m.addr, m.roots = st.Supervisor.Listen[0], []int{pid}
	if len(st.Supervisor.ListenTLS) > 0 {
		m.tlsAddr = st.Supervisor.ListenTLS[0]
	}
	m.isFront = func(p proc) bool { return p.pid == pid }
	m.workers = m.workerPIDs
	m.reload = func(ctx context.Context) error {
		_, err := m.command(ctx, "reload", sites[0].name)
		return err
	}
	m.settle = m.awaitSelfRolls
	if err := m.awaitAnswers(ctx, sites); err != nil {
		m.end()
		return nil, err
	}
	return m, nil
}

// command runs multisite with the sites.toml and returns its output.
func (m *multisite) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, m.bench.binary, args...)
	cmd.Dir = m.dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("multisite %s: %w%s", strings.Join(args, " "), err, stderrOf(err))
	}
	return string(out), nil
}

// end runs `multisite down`, and kills the supervisor if that fails. It also works after ctx
// is done.
func (m *multisite) end() {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if _, err := m.command(ctx, "down"); err != nil && len(m.roots) > 0 {
		m.bench.say("%v", err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for _, pid := range m.roots {
		for isRunning(pid) {
			select {
			case <-tick.C:
			case <-ctx.Done():
				_ = syscall.Kill(pid, syscall.SIGKILL) // its workers die with the supervisor
				return
			}
		}
	}
}

// sharing returns how the workers of the sites share memory, each answer once.
func (m *multisite) sharing(ctx context.Context) (string, error) {
	st, err := m.client.Status(ctx)
	var states []string
	for _, s := range st.Sites {
		if !slices.Contains(states, s.Preload) {
			states = append(states, s.Preload)
		}
	}
	return "preload: " + strings.Join(states, "; "), err
}

// settleTime is longer than the quiet time that a site needs before it rolls itself, and the
// rolls of two sites.
const settleTime = 5 * time.Minute

// awaitSelfRolls waits until every site has replaced its workers by itself, since visitors
// ask for more than "/".
func (m *multisite) awaitSelfRolls(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		st, err := m.client.Status(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(st.Sites, func(s status.Site) bool {
			return s.SelfRoll == nil || s.State != "running" || len(s.Workers) != s.Processes.Desired
		}) {
			m.remark, err = m.sharing(ctx)
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("sites have not replaced their workers within %v", settleTime)
		}
	}
}

func (m *multisite) workerPIDs(ctx context.Context) ([]int, error) {
	st, err := m.client.Status(ctx)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, s := range st.Sites {
		for _, w := range s.Workers {
			pids = append(pids, w.PID)
		}
	}
	return pids, nil
}

// startGoWorker starts multisite with a Go site, whose worker gets requests directly.
func startGoWorker(ctx context.Context, b *bench, p *project, sites []site) (*server, error) {
	m, err := b.startMultisite(ctx, sitesTOML(p, sites, ""), sites)
	if err != nil {
		return nil, err
	}
	st, err := m.client.Status(ctx)
	if err != nil {
		m.end()
		return nil, err
	}
	m.addr = st.Sites[0].Workers[0].Socket
	return &m.server, nil
}
