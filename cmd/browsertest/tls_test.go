package browsertest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

const tlsSites = `
listen     = "127.0.0.1:%s"
listen_tls = "127.0.0.1:%s"
[site.django]
server_name = "django.localhost"
settings    = "subdomain1_settings"
python_path = [%q]
python_home = %q
env         = { MULTISITE_DB = %q }
compress    = true
`

// TestTLS: a browser that trusts the internal authority is led from http to https, speaks
// HTTP/2, and gets Django's admin with compressed CSS. The site is closed for maintenance and
// opened again while its page is open.
func TestTLS(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	plain, secure := freePort(t), freePort(t)
	project, err := filepath.Abs("../../testdata/django")
	if err != nil {
		t.Fatal(err)
	}
	database := filepath.Join(t.TempDir(), "db.sqlite3")
	copyFile(t, filepath.Join(project, "test.sqlite3"), database)
	m := start(t, fmt.Sprintf(tlsSites, plain, secure, project, filepath.Join(project, ".venv"), database))
	m.trust(home)

	b := newBrowser(t, chromedp.Env("HOME="+home))
	b.open("http://django.localhost:" + plain + "/admin/")
	b.eventuallySees("#site-name", "Django administration")
	if got, want := b.evaluate("location.href"), "https://django.localhost:"+secure+"/admin/login/?next=/admin/"; got != want {
		t.Errorf("the browser is at %s, want %s", got, want)
	}
	if got := b.evaluate("String(isSecureContext) + ' ' + performance.getEntriesByType('navigation')[0].nextHopProtocol"); got != "true h2" {
		t.Errorf("secure, protocol: got %q, want true h2", got)
	}
	css := b.evaluate(`(() => { const css = performance.getEntriesByType('resource').filter(e => e.name.endsWith('.css'));
		return css.length + ' files, ' + css.filter(e => e.encodedBodySize >= e.decodedBodySize && e.decodedBodySize > 1024).map(e => e.name).join(' ') })()`)
	if files, plain, _ := strings.Cut(css, " files, "); files == "0" || plain != "" {
		t.Errorf("%s CSS files, not compressed: %q", files, plain)
	}
	b.do("log in", chromedp.SendKeys(chromedp.ID("id_username"), "admin"), chromedp.SendKeys(chromedp.ID("id_password"), "admin"),
		chromedp.Click(chromedp.CSS("input[type=submit]")))
	b.eventuallySees("#content", "Site administration")

	const reload = "fetch(location.href).then(r => document.title = 'status ' + r.status), ''"
	b.evaluate(reload)
	b.eventuallyTitled("status 200")
	m.run("maintenance", "django", "on")
	b.evaluate(reload)
	b.eventuallyTitled("status 503")
	b.do("load the page again", chromedp.Reload())
	b.eventuallySees("body", "503")
	m.run("maintenance", "django", "off")
	b.do("load the page again", chromedp.Reload())
	b.eventuallySees("#content", "Site administration")
}

// trust installs the root of the internal authority for the browsers of a home directory,
// and nowhere else on this machine.
func (m *multisite) trust(home string) {
	m.t.Helper()
	certutil, err := exec.LookPath("certutil")
	if err != nil {
		m.t.Fatal("this test needs certutil: apt-get install libnss3-tools")
	}
	bin := m.t.TempDir()
	if err := os.Symlink(certutil, filepath.Join(bin, "certutil")); err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.Command(m.program, "trust")
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "HOME="+home, "PATH="+bin)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("multisite trust: %v\n%s", err, out)
	}
}

// eventuallyTitled waits until the page has a title.
func (b browser) eventuallyTitled(title string) {
	b.t.Helper()
	ctx, cancel := b.step()
	defer cancel()
	for {
		if now, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.title")); err == nil && now == title {
			return
		}
		select {
		case <-ctx.Done():
			b.fail("see the title "+title, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
