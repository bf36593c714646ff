package supervisor

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	front "github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/status"
)

const (
	maxLearned = 8   // paths in a learned warm-up
	minAsked   = 5   // requests for each of them
	minShare   = 100 // each is asked for in one of so many requests
)

// learnedWarmup is what visitors have taught about the warm-up of a site. It outlives
// generations, and the journal keeps it.
type learnedWarmup struct {
	asked front.Asked // safe for several goroutines

	mu sync.Mutex
	// mu protects all below
	paths  []string    // with which the last generation was made; nil: nothing was learned
	rolled time.Time   // when workers were last replaced because of that; zero: never
	of     *generation // the one of that roll; nil: there was none since the start
	saved  *int64      // bytes that the roll has saved; nil: it is not known
	kept   string      // what the journal has
}

// keptWarmup is a learnedWarmup in the journal.
type keptWarmup struct {
	Asked  []front.AskedPage `json:"asked"`
	Paths  []string          `json:"paths"`
	Rolled time.Time         `json:"rolled"`
}

// warmupOf returns the paths that the zygote of the next generation requests, and whether
// visitors have decided which they are.
func (t *site) warmupOf(c *config.Site) (paths []string, learned bool) {
	if !c.Preload.LearnsWarmup() {
		return c.Preload.Warmup, false
	}
	l := &t.warmup
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paths = chooseWarmup(l.paths, l.asked.Pages())
	if len(l.paths) == 0 {
		return []string{"/"}, false
	}
	return l.paths, true
}

// chooseWarmup returns the paths of a warm-up, sorted, for pages of which the most asked is
// the first. A path of before stays as long as it is asked for half as often as that needs:
// a new list costs learning, so it changes only with the visitors.
func chooseWarmup(before []string, asked []front.AskedPage) []string {
	total := 0
	for _, p := range asked {
		total += p.Count
	}
	var often []string
	for _, p := range asked {
		if p.Count >= minAsked && p.Count*minShare >= total && len(often) < 2*maxLearned {
			often = append(often, p.Path)
		}
	}
	var paths []string
	for _, path := range before {
		if slices.Contains(often, path) && len(paths) < maxLearned {
			paths = append(paths, path)
		}
	}
	for _, path := range often {
		if len(paths) < maxLearned && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// next returns the paths with which a generation would be made now.
func (l *learnedWarmup) next() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return chooseWarmup(l.paths, l.asked.Pages())
}

func (l *learnedWarmup) rolledAt() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rolled
}

func (l *learnedWarmup) setRolled(g *generation, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rolled, l.of, l.saved = at, g, nil
}

func (l *learnedWarmup) setSaved(bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saved = &bytes
}

// isOf reports whether the site was rolled by itself to g.
func (l *learnedWarmup) isOf(g *generation) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of == g
}

// status returns what status shows about the generation g; nil: it did not come from a roll
// of the site itself.
func (l *learnedWarmup) status(g *generation) *status.SelfRoll {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of != g {
		return nil
	}
	return &status.SelfRoll{At: l.rolled.UTC(), Paths: g.warmup, Saved: l.saved}
}

// recallWarmup takes what the journal has of the site.
func (t *site) recallWarmup() {
	text, err := t.super.journal.Warmup(context.Background(), t.name)
	var kept keptWarmup
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &kept)
	}
	if err != nil {
		t.log.Warn("what visitors have asked for is forgotten", "error", err)
		return
	}
	l := &t.warmup
	l.asked.Restore(kept.Asked)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rolled, l.kept = kept.Rolled, text
	l.paths = chooseWarmup(kept.Paths, l.asked.Pages())
}

// keepWarmup puts what was learned into the journal, unless it is there.
func (t *site) keepWarmup(ctx context.Context) {
	l := &t.warmup
	l.mu.Lock()
	asked, paths, rolled, kept := l.asked.Pages(), l.paths, l.rolled, l.kept
	l.mu.Unlock() // a slow disk stops neither status nor an upgrade
	if len(asked) == 0 {
		return
	}
	text, _ := json.Marshal(keptWarmup{asked, paths, rolled}) // plain values: there is no error
	if string(text) == kept {
		return
	}
	if err := t.super.journal.SetWarmup(ctx, t.name, string(text)); err != nil {
		if ctx.Err() == nil { // otherwise close saves it
			t.log.Warn("what visitors ask for could not be saved", "error", err)
		}
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = string(text)
}
