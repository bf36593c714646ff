package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor/control"
)

const (
	progressAfter  = time.Second      // a command that takes no longer says nothing
	progressPeriod = time.Second / 4  // between two looks
	progressPlain  = 10 * time.Second // between two lines where nothing can be overwritten
)

// progress shows on stderr what a command waits for: on a terminal in place, elsewhere in
// a line from time to time.
type progress struct {
	to     *display
	sites  []string      // whose progress matters; none: that of all
	after  time.Duration // when the first line is shown
	period time.Duration // between two lines that say what is waited for

	said    time.Time       // when the last such line was shown; zero: none was
	pending map[string]bool // sites that have been waited for
	drawn   bool            // there is a line on the terminal to overwrite
}

// newProgress returns a progress for stderr; nil if MULTISITE_PROGRESS says that nobody
// wants to see it.
func newProgress(stderr io.Writer, sites []string) *progress {
	p := &progress{to: newDisplay(stderr), sites: sites, pending: map[string]bool{}, after: progressAfter}
	switch wish := os.Getenv("MULTISITE_PROGRESS"); {
	case wish == "none":
		return nil
	case wish == "plain":
		p.to.terminal, p.period = false, progressAfter
	case !p.to.terminal:
		p.after, p.period = progressPlain, progressPlain
	}
	return p
}

// awaiting calls f with a client, and shows meanwhile what the named sites, or all, wait for.
func (c *cli) awaiting(cmd *cobra.Command, sites []string, f func(*control.Client) error) error {
	return c.call(func(client *control.Client) error {
		stop := watchProgress(cmd.Context(), client, newProgress(cmd.ErrOrStderr(), sites))
		defer stop()
		return f(client)
	})
}

// watchProgress shows progress until stop is called. p may be nil.
func watchProgress(ctx context.Context, client *control.Client, p *progress) (stop func()) {
	if p == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		timer := time.NewTimer(p.after)
		defer timer.Stop()
		for {
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
			if now, err := client.Progress(ctx); err == nil { // it may not listen yet, or not any more
				p.show(now, time.Now())
			}
			timer.Reset(progressPeriod)
		}
	})
	return func() {
		cancel()
		watching.Wait()
		p.finish(client)
	}
}

// finish shows what became of the sites that were waited for last.
func (p *progress) finish(client *control.Client) {
	if len(p.pending) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), progressAfter)
		defer cancel()
		if now, err := client.Progress(ctx); err == nil { // after a down there is no answer
			p.showReached(now)
		}
	}
	p.clear()
}

// show shows how far the sites are: a line for each that is ready by now, and what is
// waited for.
func (p *progress) show(now control.Progress, at time.Time) {
	waits := p.showReached(now)
	if len(waits) == 0 {
		p.clear()
		return
	}
	line := waitingFor(waits)
	switch {
	case p.to.terminal:
		_, _ = io.WriteString(p.to.w, "\r"+p.to.paint(cut(oneLine(line), p.to.width-1), faint)+"\x1b[K") // nobody may read it any more
		p.drawn = true
	case at.Sub(p.said) >= p.period:
		p.to.say(line, plain)
		p.said = at
	}
}

// showReached prints a line for each site that was waited for and is not any more, and
// returns those that still are.
func (p *progress) showReached(now control.Progress) (waits []control.SiteProgress) {
	for _, site := range now.Sites {
		switch {
		case len(p.sites) > 0 && !slices.Contains(p.sites, site.Name):
		case site.For != "":
			p.pending[site.Name] = true
			waits = append(waits, site)
		case p.pending[site.Name]:
			delete(p.pending, site.Name)
			p.clear()
			p.to.say(reached(site), plain)
		}
	}
	return waits
}

// clear removes the line that says what is waited for.
func (p *progress) clear() {
	if p.drawn {
		_, _ = io.WriteString(p.to.w, "\r\x1b[K")
		p.drawn = false
	}
}

// reached returns what became of a site that was waited for.
func reached(site control.SiteProgress) string {
	switch site.State {
	case "failed":
		return site.Name + ": failed: " + site.Problem
	case "stopped", "sleeping":
		return site.Name + ": " + site.State
	}
	return fmt.Sprintf("%s: %d of %s ready", site.Name, site.Ready, plural(site.Desired, "worker"))
}

// waitingFor returns what is waited for longest, and how much else.
func waitingFor(waits []control.SiteProgress) string {
	first := slices.MaxFunc(waits, func(a, b control.SiteProgress) int { return cmp.Compare(a.Seconds, b.Seconds) })
	line := "waiting for " + first.For
	switch {
	case first.Left > 0:
		line += fmt.Sprintf(" (at most %.0f s more)", first.Left)
	case first.Limit > 0 && first.Seconds <= first.Limit:
		line += fmt.Sprintf(" (%.0f of %.0f s)", first.Seconds, first.Limit)
	default:
		line += fmt.Sprintf(" (%.0f s)", first.Seconds)
	}
	if others := len(waits) - 1; others > 0 {
		line += fmt.Sprintf(", and for %s", plural(others, "other site"))
	}
	return line
}
