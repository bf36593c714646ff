package apps_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/multisite/multisite/apps"
)

const (
	testUser     = "ada"
	testPassword = "correct horse battery"
)

// TestBrowser guards the promise of the whole package, in a real browser: one
// admin and one login for two sites on one database.
func TestBrowser_OneAdminForTwoSites(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	one, two := serve(t, state, "subdomain1"), serve(t, state, "subdomain2")
	createSuperuser(t, state)
	b := newBrowser(t)

	b.visit(one + "/admin/")
	b.logIn()
	b.see("h1", "Administration")

	b.visit(one + "/admin/blog/post/add")
	b.fill("title", "Hello, both sites")
	b.fill("slug", "hello")
	b.fill("body", "First.\n\nSee https://example.com/ for more.")
	b.check("Subdomain1")
	b.check("Subdomain2")
	b.choose("status", "published")
	b.press("Save")
	b.see(".message", "The post is added.")
	for _, address := range []string{one + "/", two + "/blog/"} {
		b.visit(address)
		b.see("article h2", "Hello, both sites")
		b.press("Hello, both sites")
		b.see("article", "See https://example.com/ for more.")
	}

	b.visit(one + "/admin/polls/poll/add")
	b.fill("question", "Tea or coffee?")
	b.fill("slug", "drinks")
	b.check("Subdomain2")
	b.press("Save and stay")
	b.press("Add")
	b.fill("text", "Tea")
	b.press("Save and add another")
	b.fill("text", "Coffee")
	b.press("Save")

	b.visit(two + "/")
	b.press("Tea or coffee?")
	b.check("Coffee")
	b.press("Vote")
	b.see(".message", "Your vote is counted.")
	b.see(".results", "Coffee (your vote)")

	b.visit(one + "/admin/polls/vote/")
	b.see("tbody tr", "Coffee")
	b.see("tbody tr", "Subdomain2")

	b.visit(two + "/admin/blog/post/")
	b.logIn() // the same user; the other site's cookie is not this one's
	b.see("tbody", "Hello, both sites")
	b.press("Log out")
	b.see(".message", "You are logged out.")
}

// serve runs a builtin site on its own *.localhost name and returns its URL.
func serve(t testing.TB, state, name string) string {
	t.Helper()
	site, err := apps.Open(t.Context(), "builtin:"+name, apps.Options{StateDir: state, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(site)
	t.Cleanup(func() {
		server.Close()
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	return strings.Replace(server.URL, "127.0.0.1", name+".localhost", 1)
}

func createSuperuser(t testing.TB, state string) {
	t.Helper()
	args := []string{"createsuperuser", "--username", testUser, "--email", "ada@example.com"}
	if code, out := runManage(t, state, testPassword+"\n", args...); code != 0 {
		t.Fatalf("createsuperuser: exit code %d: %s", code, out)
	}
}

// runManage runs a management command and returns what it printed.
func runManage(t testing.TB, state, stdin string, args ...string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	code = apps.Manage(t.Context(), "builtin:subdomain1", apps.Options{StateDir: state}, args, strings.NewReader(stdin), &out, &out)
	return code, out.String()
}

// manageFile is runManage for a site with a settings file of its own.
func manageFile(t testing.TB, settings, stdin string, args ...string) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	code = apps.Manage(t.Context(), settings, apps.Options{}, args, strings.NewReader(stdin), &out, &out)
	return code, out.String()
}

// browser drives one window as a person would: by what is written on things.
type browser struct {
	t   testing.TB
	ctx context.Context
}

func newBrowser(t testing.TB) browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("this test needs a browser: apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancelBrowser := chromedp.NewContext(ctx)
	ctx, cancelTime := context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(func() {
		cancelTime()
		_ = chromedp.Cancel(ctx) // waits until the browser has ended
		cancelBrowser()
		cancelAllocator()
	})
	// The browser lives as long as the context it is started with.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return browser{t, ctx}
}

// step bounds one thing a person does.
func (b browser) step() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.ctx, time.Minute)
}

func (b browser) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := b.step()
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.fail(what, err)
	}
}

// fail shows what the page says.
func (b browser) fail(what string, err error) {
	b.t.Helper()
	ctx, cancel := b.step()
	defer cancel()
	page, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
	b.t.Fatalf("%s: %v\nthe page says:\n%s", what, err, page)
}

func (b browser) visit(address string) {
	b.t.Helper()
	ctx, cancel := b.step()
	defer cancel()
	response, err := chromedp.Run(ctx, chromedp.NavigateResponse(address))
	if err != nil || response.Status != 200 {
		b.fail("visit "+address, fmt.Errorf("%v, error %w", response, err))
	}
}

func (b browser) logIn() {
	b.t.Helper()
	b.see("h1", "Log in")
	b.do("log in",
		chromedp.SendKeys(chromedp.ID("username"), testUser),
		chromedp.SendKeys(chromedp.ID("password"), testPassword))
	b.press("Log in")
}

func (b browser) fill(name, text string) {
	b.t.Helper()
	b.do("fill in "+name, chromedp.SendKeys(chromedp.CSS(fmt.Sprintf("[name=%q]", name)), text))
}

func (b browser) choose(name, value string) {
	b.t.Helper()
	b.do("choose "+name, chromedp.SetValue(chromedp.CSS(fmt.Sprintf("select[name=%q]", name)), value))
}

// check clicks the label of a box or of one of several choices.
func (b browser) check(label string) {
	b.t.Helper()
	b.do("check "+label, chromedp.Click(chromedp.Search(fmt.Sprintf("//label[normalize-space()=%q]", label))))
}

// press clicks a button or link in the page, or else one at its top, and
// waits for the page it leads to.
func (b browser) press(label string) {
	b.t.Helper()
	find := fmt.Sprintf("(//main//button[normalize-space()=%[1]q] | //main//a[normalize-space()=%[1]q] | //header//button[normalize-space()=%[1]q])[last()]", label)
	ctx, cancel := b.step()
	defer cancel()
	response, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.Search(find)))
	if err != nil || response.Status != 200 {
		b.fail("press "+label, fmt.Errorf("%v, error %w", response, err))
	}
}

func (b browser) see(where, what string) {
	b.t.Helper()
	ctx, cancel := b.step()
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(where)))
	if err != nil || !strings.Contains(text, what) {
		b.fail("see "+where, fmt.Errorf("got %q, want %q, error %v", text, what, err))
	}
}
