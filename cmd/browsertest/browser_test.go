package browsertest

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser drives one window as a person would: by the labels on the page.
type browser struct {
	t   testing.TB
	ctx context.Context
}

func newBrowser(t testing.TB, more ...chromedp.ExecAllocatorOption) browser {
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
	options = append(options, more...)
	ctx, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancelBrowser := chromedp.NewContext(ctx)
	ctx, cancelTime := context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(func() {
		cancelTime()
		_ = chromedp.Cancel(ctx) // waits until the browser has ended
		cancelBrowser()
		cancelAllocator()
	})
	// The browser lives as long as the context that it is started with.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return browser{t, ctx}
}

// step returns a context that bounds one action of the person.
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

// fail ends the test and shows the text of the page.
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

// open goes to an address that leads on to another page by itself.
func (b browser) open(address string) {
	b.t.Helper()
	b.do("open "+address, chromedp.Navigate(address))
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

// press clicks a button or link in the page, or else one in its header, and waits
// for the page that it leads to.
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

// see fails unless an element contains a text.
func (b browser) see(where, what string) {
	b.t.Helper()
	ctx, cancel := b.step()
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(where)))
	if err != nil || !strings.Contains(text, what) {
		b.fail("see "+where, fmt.Errorf("got %q, want %q, error %v", text, what, err))
	}
}

// eventuallySees waits until an element contains a text, through redirects that a page
// makes itself.
func (b browser) eventuallySees(where, what string) {
	b.t.Helper()
	ctx, cancel := b.step()
	defer cancel()
	find := fmt.Sprintf("(document.querySelector(%q)?.innerText ?? '').includes(%q)", where, what)
	for {
		seen, _ := chromedp.Run(ctx, chromedp.Evaluate[bool](find)) // an error while one page replaces another
		if seen {
			return
		}
		select {
		case <-ctx.Done():
			b.fail("see "+where, fmt.Errorf("no %q", what))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// evaluate returns the value of an expression in the page.
func (b browser) evaluate(script string) string {
	b.t.Helper()
	ctx, cancel := b.step()
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](script))
	if err != nil {
		b.fail(script, err)
	}
	return text
}
