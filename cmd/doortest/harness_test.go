package doortest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

// patience is how long a test waits for something to become true.
const patience = 90 * time.Second

var program string // the multisite that is tested

func TestMain(m *testing.M) {
	os.Setenv("PEBBLE_VA_NOSLEEP", "1")
	os.Setenv("PEBBLE_WFE_NONCEREJECT", "0") // or some requests would come twice
	dir, err := os.MkdirTemp("", "doortest-")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "multisite")
	out, err := exec.Command("go", "build", "-C", "../..", "-o", program, "./cmd/multisite").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// door is a multisite with built-in sites.
type door struct {
	t             *testing.T
	dir           string
	plain, secure int // its ports
	log           *bytes.Buffer
	ended         chan error
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{t: t, dir: t.TempDir()}
	d.plain, _ = strconv.Atoi(freePort(t))
	d.secure, _ = strconv.Atoi(freePort(t))
	return d
}

// write writes sites.toml with sites of these names, each at NAME.example.com.
func (d *door) write(a *authority, email string, names ...string) {
	d.t.Helper()
	text := fmt.Sprintf("listen = \"127.0.0.1:%d\"\nlisten_tls = \"127.0.0.1:%d\"\nacme = { email = %q, directory = %q, ca_file = %q }\n",
		d.plain, d.secure, email, a.directory, a.caFile)
	for _, name := range names {
		text += fmt.Sprintf("[site.%[1]s]\nserver_name = \"%[1]s.example.com\"\nsettings = \"builtin:subdomain1\"\nprocesses = { min = 0, max = 1 }\n", name)
	}
	if err := os.WriteFile(filepath.Join(d.dir, "sites.toml"), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *door) command(args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = d.dir
	return cmd
}

// up starts it and returns when it serves.
func (d *door) up() {
	d.t.Helper()
	cmd := d.command("up")
	d.log, d.ended = &bytes.Buffer{}, make(chan error, 1)
	cmd.Stderr = d.log
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	ended := d.ended
	go func() { ended <- cmd.Wait() }()
	d.t.Cleanup(func() { _ = cmd.Process.Kill() }) // fails if it has ended
	d.eventually("the control socket", func() bool { return d.command("status", "--json").Run() == nil || len(ended) > 0 })
}

// down stops it.
func (d *door) down() {
	d.t.Helper()
	d.must("down")
	if err := <-d.ended; err != nil {
		d.t.Fatalf("up: %v\n%s", err, d.log)
	}
}

func (d *door) must(args ...string) string {
	d.t.Helper()
	out, err := d.command(args...).CombinedOutput()
	if err != nil {
		d.t.Fatalf("multisite %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// certificate returns what status says of the certificate of a site.
func (d *door) certificate(site string) status.Certificate {
	d.t.Helper()
	out, err := d.command("status", "--json").Output()
	if err != nil {
		d.t.Fatal(err)
	}
	var st status.Status
	if err := json.Unmarshal(out, &st); err != nil {
		d.t.Fatal(err)
	}
	for _, s := range st.Sites {
		if s.Name == site && len(s.Certificates) == 1 {
			return s.Certificates[0]
		}
	}
	d.t.Fatalf("status has no certificate of %s:\n%s", site, out)
	return status.Certificate{}
}

// shown returns the certificate that a client sees which asks for a name.
func (d *door) shown(a *authority, name string) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: a.roots, ServerName: name}}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(d.secure)))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

func (d *door) eventually(what string, f func() bool) {
	d.t.Helper()
	tick, deadline := time.NewTicker(50*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			d.t.Fatalf("waited %v for %s\n%s", patience, what, d.log)
		}
	}
}

// get requests a path of a host without TLS, and returns the status.
func (d *door) get(host, path string) int {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", d.plain, path), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	req.Host = host
	client := http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// rewrite replaces a text in sites.toml.
func (d *door) rewrite(old, now string) {
	d.t.Helper()
	path := filepath.Join(d.dir, "sites.toml")
	b, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(b, []byte(old)) {
		d.t.Fatalf("sites.toml has no %q: %v", old, err)
	}
	if err := os.WriteFile(path, bytes.Replace(b, []byte(old), []byte(now), 1), 0o600); err != nil {
		d.t.Fatal(err)
	}
}
