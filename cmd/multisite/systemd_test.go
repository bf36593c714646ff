package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manager plays systemd: it receives the notifications.
type manager struct {
	t    testing.TB
	conn *net.UnixConn
	path string
}

func newManager(t testing.TB) *manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &manager{t, conn, path}
}

// next returns the next message.
func (m *manager) next() string {
	m.t.Helper()
	b := make([]byte, 64<<10)
	_ = m.conn.SetReadDeadline(time.Now().Add(patience)) // cannot fail on a socket
	n, err := m.conn.Read(b)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b[:n])
}

// want reads the next message that is not for the watchdog, and compares it.
func (m *manager) want(pattern string) {
	m.t.Helper()
	got := m.next()
	for got == "WATCHDOG=1" {
		got = m.next()
	}
	if !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
		m.t.Errorf("got %q, want %q", got, pattern)
	}
}

const notifiedSites = `
listen = "127.0.0.1:0"
[defaults]
processes = 1
[site.subdomain1]
server_name = "subdomain1.localhost"
settings = "builtin:subdomain1"
[site.subdomain2]
server_name = "subdomain2.localhost"
settings = "builtin:subdomain2"
`

// TestSystemd_Notify: all messages to the service manager from start to stop, word for word.
func TestSystemd_Notify(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	r := &running{t: t, dir: newDir(t, notifiedSites), out: &screen{}, log: &screen{}, env: []string{"NOTIFY_SOCKET=" + m.path}}
	r.start()
	m.want("READY=1\nSTATUS=2 sites ready")
	const reloading = `RELOADING=1\nMONOTONIC_USEC=[0-9]+\nSTATUS=reloading`
	if err := syscall.Kill(r.pid, syscall.SIGHUP); err != nil { // as Type=notify-reload does
		t.Fatal(err)
	}
	m.want(reloading)
	m.want("READY=1\nSTATUS=2 sites ready")
	r.must("reload", "subdomain1")
	m.want(reloading)
	m.want("READY=1\nSTATUS=2 sites ready")
	r.edit(t, "builtin:subdomain2", "builtin:none")
	if got := r.multisite("reload"); got.code == 0 {
		t.Errorf("reload of a bad file: exit %d", got.code)
	}
	m.want(reloading)
	m.want(`READY=1\nSTATUS=2 sites ready; last reload failed: site subdomain2: .* there are no such settings in this program`)
	if got := r.multisite("reload", "nosuch"); got.code == 0 {
		t.Errorf("reload of no site: exit %d", got.code)
	}
	m.want(reloading)
	m.want(`READY=1\nSTATUS=2 sites ready; last reload failed: .*`)
	r.edit(t, "builtin:none", "builtin:subdomain2")
	r.must("reload")
	m.want(reloading)
	m.want("READY=1\nSTATUS=2 sites ready")
	r.finish()
	m.want("STOPPING=1\nSTATUS=letting requests in flight finish")
}

// TestSystemd_ReadyAlsoWhenOneFails: the message names the site that failed.
func TestSystemd_ReadyAlsoWhenOneFails(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	sites := pythonSites + "processes = 1\n" + subdomain1 + "[site.broken]\nserver_name = \"broken.example.com\"\nsettings = \"no_such_settings\"\n"
	r := &running{t: t, dir: newDir(t, sites), out: &screen{}, log: &screen{}, env: []string{"NOTIFY_SOCKET=" + m.path}}
	r.start()
	defer r.finish()
	m.want(`READY=1\nSTATUS=1 of 2 sites failed: broken \(ModuleNotFoundError: No module named 'no_such_settings'\)`)
}

// TestSystemd_Watchdog: a stopped process sends no watchdog messages.
func TestSystemd_Watchdog(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	r := &running{t: t, dir: newDir(t, notifiedSites), out: &screen{}, log: &screen{}, env: []string{"NOTIFY_SOCKET=" + m.path, "WATCHDOG_USEC=100000"}}
	r.start()
	defer r.finish()
	m.want("READY=1\nSTATUS=2 sites ready")
	for range 5 {
		if got := m.next(); got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	if err := syscall.Kill(r.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the supervisor to be stopped", func() bool { return stateOf(t, r.pid) == "T" })
	b := make([]byte, 100)
	for told := 0; ; told++ { // messages from before
		_ = m.conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond)) // cannot fail on a socket
		if _, err := m.conn.Read(b); err != nil {
			break
		}
		if told > 100 {
			t.Fatal("it goes on")
		}
	}
	if err := syscall.Kill(r.pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := m.next(); got != "WATCHDOG=1" {
		t.Errorf("got %q", got)
	}
}

// stateOf returns the letter that proc(5) has for the state of a process.
func stateOf(t testing.TB, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return after[:1]
}

// TestSystemd_Sockets: the front door listens on the sockets of systemd, not on those of
// sites.toml.
func TestSystemd_Sockets(t *testing.T) {
	t.Parallel()
	a, b := listenFile(t, "tcp", "127.0.0.1:0"), listenFile(t, "tcp", "127.0.0.1:0")
	dir := newDir(t, strings.Replace(notifiedSites, "127.0.0.1:0", "203.0.113.1:80", 1)) // an address that no machine has
	r := &running{t: t, dir: dir, out: &screen{}, log: &screen{}, files: []*os.File{a.file, b.file}}
	r.start()
	defer r.finish()
	if got, want := fmt.Sprint(r.status().Supervisor.Listen), fmt.Sprint([]string{a.addr, b.addr}); got != want {
		t.Errorf("listens on %s, want %s", got, want)
	}
	for _, addr := range []string{a.addr, b.addr} {
		r.addr = addr
		if got := r.get("subdomain1.localhost", "/"); got.status != 200 {
			t.Errorf("%s: status %d", addr, got.status)
		}
	}
	r.edit(t, "203.0.113.1:80", "203.0.113.2:80") // which has no effect here
	if got := r.must("reload"); got != "nothing has changed\n" {
		t.Errorf("reload: %s", got)
	}
}

// TestSystemd_SocketsOutliveAnUpgrade: sockets of systemd, and connections to them, outlive
// an upgrade.
func TestSystemd_SocketsOutliveAnUpgrade(t *testing.T) {
	t.Parallel()
	a, b := listenFile(t, "tcp", "127.0.0.1:0"), listenFile(t, "tcp", "127.0.0.1:0")
	dir := newDir(t, strings.Replace(notifiedSites, "127.0.0.1:0", "203.0.113.1:80", 1)) // an address that no machine has
	r := &running{t: t, dir: dir, out: &screen{}, log: &screen{}, files: []*os.File{a.file, b.file}}
	r.start()
	defer r.finish()
	const clients = 2
	load := r.startLoad("subdomain1.localhost", clients, "", "/")
	for range 3 {
		r.upgrade()
		if got, want := fmt.Sprint(r.status().Supervisor.Listen), fmt.Sprint([]string{a.addr, b.addr}); got != want {
			t.Errorf("listens on %s, want %s", got, want)
		}
		for _, addr := range []string{a.addr, b.addr} {
			r.addr = addr
			if got := r.get("subdomain1.localhost", "/"); got.status != 200 {
				t.Errorf("%s: status %d", addr, got.status)
			}
		}
	}
	if got := load.stop(); got.Dials != clients {
		t.Errorf("%d connections were made for %d clients, want that each is kept", got.Dials, clients)
	}
	r.edit(t, "203.0.113.1:80", "203.0.113.2:80") // which has no effect here
	if got := r.must("reload"); got != "nothing has changed\n" {
		t.Errorf("reload: %s", got)
	}
	r.upgrade()
}

// TestSystemd_SocketsOfTheWrongKind: the error names the socket.
func TestSystemd_SocketsOfTheWrongKind(t *testing.T) {
	t.Parallel()
	dir := newDir(t, notifiedSites)
	unix := listenFile(t, "unix", filepath.Join(dir, "s"))
	cmd := command(t, dir, "sh", "-c", `LISTEN_PID=$$ exec multisite up`)
	cmd.Env = append(cmd.Env, "LISTEN_FDS=1", "LISTEN_FDNAMES=web")
	cmd.ExtraFiles = []*os.File{unix.file}
	out, err := cmd.CombinedOutput()
	want := "multisite: error: socket activation: web: a unix socket, not TCP: write a port or an address as ListenStream=\n"
	if err == nil || string(out) != want {
		t.Errorf("%v\n%s", err, out)
	}
}

type listening struct {
	addr string
	file *os.File
}

func listenFile(t testing.TB, network, addr string) listening {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return listening{l.Addr().String(), f}
}

// TestSystemd_FirstProcess runs `up` as the first process of a PID namespace, as in a
// container: it serves, reaps orphans, and stops on a signal.
func TestSystemd_FirstProcess(t *testing.T) {
	t.Parallel()
	if err := exec.Command("unshare", "--pid", "--fork", "--mount-proc", "true").Run(); err != nil {
		t.Skipf("no PID namespace for us: %v", err)
	}
	sites := notifiedSites + orphanMaker
	r := &running{t: t, dir: newDir(t, sites), out: &screen{}, log: &screen{}, wrap: []string{"unshare", "--pid", "--fork", "--mount-proc", "--kill-child"}, env: []string{testPID + "="}}
	t.Cleanup(func() {
		if r.end != nil && !r.hasEnded() { // the test failed, and endWithTest is not called there
			kill(t, r.pid)
		}
	})
	r.start()
	if got := r.status().Supervisor.PID; got != 1 {
		t.Errorf("pid %d, want 1", got)
	}
	if got := r.get("subdomain1.localhost", "/"); got.status != 200 {
		t.Errorf("status %d", got.status)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", r.pid, r.pid))
	if err != nil {
		t.Fatal(err)
	}
	first, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		t.Fatal(err)
	}
	r.waitLog("subdomain1", `service\.maker orphan [0-9]+$`)
	eventually(t, "a zombie", func() bool { return len(zombiesOf(t, first)) > 0 })
	eventually(t, "the zombie to be reaped", func() bool { return len(zombiesOf(t, first)) == 0 })
	if err := syscall.Kill(first, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-r.end.ch
	if r.end.err != nil {
		t.Errorf("it ended: %v\n%s", r.end.err, r.log.String())
	}
	checkNothingLeft(t, r.dir)
}

// orphanMaker is a service that leaves an orphan behind.
const orphanMaker = `
[site.subdomain1.service.maker]
command = ["sh", "-c", "(setsid sh -c 'echo orphan $$; sleep 0.3' &); sleep 1000"]
`

// zombiesOf returns the dead children of a process that nobody waited for.
func zombiesOf(t testing.TB, parent int) (pids []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		b, _ := os.ReadFile(path) // it may be gone
		_, after, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(after); len(f) > 1 && f[0] == "Z" && f[1] == strconv.Itoa(parent) {
			pids = append(pids, path)
		}
	}
	return pids
}
