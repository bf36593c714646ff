package supervisor

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/status"
)

// visited is a supervisor of the article's project, which a test visits.
type visited struct {
	*Supervisor
	t   *testing.T
	dir string
}

// startVisited runs a supervisor whose sites roll themselves after a moment of quiet. Files
// of an earlier one may be in dir. mine is a module beside the project's.
func startVisited(t *testing.T, dir, defaults, mine string) (v *visited, stop func()) {
	t.Helper()
	project, err := filepath.Abs("../testdata/django")
	if err != nil {
		t.Fatal(err)
	}
	database, err := os.ReadFile(filepath.Join(project, "test.sqlite3"))
	if err != nil {
		t.Fatalf("%v; run: make test", err)
	}
	write(t, dir, "db.sqlite3", string(database))
	write(t, dir, "code/mine.py", mine)
	write(t, dir, "sites.toml", fmt.Sprintf("listen = '127.0.0.1:0'\n[defaults]\nprocesses = 3\nstartup_timeout = '5m'\npython_path = [%q, %q]\npython_home = %q\n%s\n"+
		"[defaults.env]\nMULTISITE_DB = %q\n"+
		"[site.one]\nserver_name = 'subdomain1.example.com'\nsettings = 'subdomain1_settings'\n"+
		"[site.two]\nserver_name = 'subdomain2.example.com'\nsettings = 'subdomain2_settings'\n",
		project, filepath.Join(dir, "code"), filepath.Join(project, ".venv"), defaults, filepath.Join(dir, "db.sqlite3")))
	s, err := New(Options{Load: func() (*config.Config, error) { return config.Load(filepath.Join(dir, "sites.toml")) }})
	if err != nil {
		t.Fatal(err)
	}
	s.selfRolls.look, s.selfRolls.quiet, s.selfRolls.served, s.selfRolls.least = 20*time.Millisecond, 50*time.Millisecond, 60, 1<<20
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, context.Background()) }()
	stop = sync.OnceFunc(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return &visited{s, t, dir}, stop
}

// ask requests a path of both sites once. It returns what is wrong with the answers; "": nothing.
func (v *visited) ask(client *http.Client, path, want string) string {
	for _, host := range []string{"subdomain1.example.com", "subdomain2.example.com"} {
		r, err := http.NewRequest(http.MethodGet, "http://"+v.Addrs()[0]+path, nil)
		if err != nil {
			return err.Error()
		}
		r.Host = host
		resp, err := client.Do(r)
		if err != nil {
			return err.Error()
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			return fmt.Sprintf("%s%s: %s, %v: %.200q", host, path, resp.Status, err, body)
		}
	}
	return ""
}

// visit requests each page n times over as many connections as there are workers.
func (v *visited) visit(n int) {
	v.t.Helper()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for range n {
				for path, want := range map[string]string{"/": "<title>Subdomain", "/hello/": "Hello from", "/admin/login/": "csrfmiddlewaretoken"} {
					if wrong := v.ask(client, path, want); wrong != "" {
						v.t.Error(wrong)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// visitAll visits until every worker has served n requests.
func (v *visited) visitAll(n int64) {
	v.t.Helper()
	v.until("every worker to serve", func() bool {
		v.visit(10)
		for _, s := range v.Status(context.Background()).Sites {
			for _, w := range s.Workers {
				if w.Requests < n {
					return false
				}
			}
		}
		return true
	})
}

func (v *visited) site(name string) status.Site {
	st := v.Status(context.Background())
	return st.Sites[slices.IndexFunc(st.Sites, func(s status.Site) bool { return s.Name == name })]
}

// until waits until f returns true.
func (v *visited) until(what string, f func() bool) {
	v.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(5 * time.Minute); !f(); {
		select {
		case <-tick.C:
		case <-deadline:
			v.t.Fatalf("waited for %s; %+v", what, v.Status(context.Background()).Sites)
		}
	}
}

// TestSelfRoll_SharesWhatVisitorsAskFor: a site that knows nothing of its visitors warms up
// to "/". In the first quiet moment after their visits it replaces its workers by ones that
// share more. Every answer is right meanwhile. The next start knows the visitors.
func TestSelfRoll_SharesWhatVisitorsAskFor(t *testing.T) {
	t.Parallel()
	v, stop := startVisited(t, t.TempDir(), "", "")
	if got := v.site("one"); got.Preload != "on" || got.SelfRoll != nil {
		t.Errorf("preload %q, self-roll %v at the start", got.Preload, got.SelfRoll)
	}
	v.visitAll(60)
	v.until("a roll to begin", func() bool { return len(v.site("one").Workers) != 3 || v.site("one").Generation == 2 })

	inFlight, done := make(chan struct{}), make(chan int)
	go func() { done <- v.askUntil(inFlight) }()
	v.until("both rolls to end", func() bool {
		for _, s := range []status.Site{v.site("one"), v.site("two")} {
			if s.Generation != 2 || len(s.Workers) != 3 || s.State != "running" {
				return false
			}
		}
		return true
	})
	close(inFlight)
	t.Logf("%d right answers meanwhile", <-done)

	v.visitAll(60)
	v.until("the comparison", func() bool { return v.site("one").SelfRoll.Saved != nil && v.site("two").SelfRoll.Saved != nil })
	want := []string{"/", "/admin/login/", "/hello/"}
	for _, name := range []string{"one", "two"} {
		got := v.site(name)
		if !slices.Equal(got.SelfRoll.Paths, want) || *got.SelfRoll.Saved < 1<<20 || got.Generation != 2 {
			t.Errorf("%s: generation %d warmed up to %q saved %d bytes", name, got.Generation, got.SelfRoll.Paths, *got.SelfRoll.Saved)
		}
		if wantNote := "on, warmed up to what visitors ask for most: / /admin/login/ /hello/"; got.Preload != wantNote {
			t.Errorf("preload %q, want %q", got.Preload, wantNote)
		}
		events, err := v.journal.Events(t.Context(), journal.Filter{Site: name, Kind: "warm-up compared"})
		if err != nil || len(events) != 1 || !strings.HasPrefix(events[0].Detail, "saved ") {
			t.Errorf("the journal says %+v, %v", events, err)
		}
	}
	v.onceADay()
	stop()
	again, _ := startVisited(t, v.dir, "", "")
	if got := again.site("one"); got.Generation != 1 || !strings.HasSuffix(got.Preload, ": / /admin/login/ /hello/ /whoami/") {
		t.Errorf("after a restart: generation %d, preload %q", got.Generation, got.Preload)
	}
}

// onceADay checks that sites whose visitors want something new are rolled again, but not on
// the same day. The clock is the test's.
func (v *visited) onceADay() {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 100 {
		if wrong := v.ask(client, "/whoami/", "site_id"); wrong != "" {
			v.t.Error(wrong)
		}
	}
	rolls, now := map[*site]*selfRoll{}, time.Now()
	for _, c := range []struct {
		after      time.Duration
		generation int
	}{{time.Minute, 2}, {23 * time.Hour, 2}, {25 * time.Hour, 3}} {
		v.until("a quiet moment", func() bool {
			v.lookAtWarmups(v.t.Context(), now.Add(c.after), rolls)
			v.lookAtWarmups(v.t.Context(), now.Add(c.after+time.Second), rolls)
			return v.site("one").Generation == c.generation && v.site("two").Generation == c.generation
		})
	}
	if events, err := v.journal.Events(v.t.Context(), journal.Filter{Site: "one", Kind: "workers replaced"}); err != nil || len(events) != 2 {
		v.t.Errorf("the journal says %+v, %v", events, err)
	}
}

// askUntil requests pages until stop is closed, and returns how many answers were right.
func (v *visited) askUntil(stop chan struct{}) (right int) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for {
		select {
		case <-stop:
			return right
		default:
		}
		if wrong := v.ask(client, "/hello/", "Hello from"); wrong != "" {
			v.t.Error(wrong)
		} else {
			right++
		}
	}
}

// TestSelfRoll_LeavesChangedCodeToReload: code that is being deployed does not come into a
// site by itself.
func TestSelfRoll_LeavesChangedCodeToReload(t *testing.T) {
	t.Parallel()
	v, _ := startVisited(t, t.TempDir(), "", "")
	write(t, v.dir, "code/mine.py", "changed = True\n")
	v.visitAll(60)
	v.isLeftAlone()
}

// isLeftAlone looks at the sites when they are quiet, and checks that nothing happens.
func (v *visited) isLeftAlone() {
	v.t.Helper()
	rolls := map[*site]*selfRoll{}
	v.until("a quiet moment", func() bool {
		return !slices.ContainsFunc(v.sites.all(), func(t *site) bool { return !t.isQuiet() })
	})
	for range 2 {
		v.lookAtWarmups(v.t.Context(), time.Now(), rolls)
	}
	v.lookAtWarmups(v.t.Context(), time.Now().Add(time.Hour), rolls)
	if one := v.site("one"); one.Generation != 1 || len(one.Workers) != 3 {
		v.t.Errorf("generation %d, %d workers", one.Generation, len(one.Workers))
	}
}

// TestSelfRoll_SavesCountsSeldom: what visitors ask for changes with every visit, and the
// disk need not follow.
func TestSelfRoll_SavesCountsSeldom(t *testing.T) {
	t.Parallel()
	v, _ := startVisited(t, t.TempDir(), "", "")
	rolls, now := map[*site]*selfRoll{}, time.Now()
	saved := func(after time.Duration) string {
		v.visit(1)
		v.lookAtWarmups(t.Context(), now.Add(after), rolls)
		text, err := v.journal.Warmup(t.Context(), "one")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	first, soon, later := saved(0), saved(4*time.Minute), saved(5*time.Minute)
	if first == "" || soon != first || later == first {
		t.Errorf("saved %q, after 4 minutes %q, after 5 minutes %q", first, soon, later)
	}
}

// TestSelfRoll_LetsAReloadPass: a reload waits neither until every site has rolled itself,
// nor for new workers that hang while they load.
func TestSelfRoll_LetsAReloadPass(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hang := filepath.Join(dir, "hang")
	write(t, dir, "code/hang.pth", "import mine\n")
	v, _ := startVisited(t, dir, "", fmt.Sprintf("import os, time\nwhile os.path.exists(%q):\n    time.sleep(0.01)\n", hang))
	sites := v.sites.all()
	v.until("a quiet moment", func() bool { return sites[0].isQuiet() && sites[1].isQuiet() })
	write(t, dir, "hang", "")
	rolled, reloaded := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(rolled)
		v.rollForWarmup(t.Context(), time.Now(), slices.Clone(sites), map[*site]*selfRoll{sites[0]: {}, sites[1]: {}})
	}()
	v.until("the trial", func() bool { return len(v.site("one").Workers) == 4 })
	go func() { reloaded <- v.Reload(t.Context(), "", io.Discard) }()
	select {
	case err := <-reloaded:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(4 * time.Minute): // startup_timeout is longer
		t.Fatal("the reload waits for workers that hang")
	}
	<-rolled
	if one, two := v.site("one"), v.site("two"); one.Generation != 1 || two.Generation != 1 || one.State != "running" {
		t.Errorf("%+v, %+v, want that both wait for another day", one, two)
	}
	if !sites[1].warmup.rolledAt().IsZero() {
		t.Error("the second site counts as rolled")
	}
}

// TestSelfRoll_GoesOnBesideASiteThatCannot: the other sites are rolled.
func TestSelfRoll_GoesOnBesideASiteThatCannot(t *testing.T) {
	t.Parallel()
	v, _ := startVisited(t, t.TempDir(), "", "")
	sites := v.sites.all()
	v.until("a quiet moment", func() bool { return sites[0].isQuiet() && sites[1].isQuiet() })
	write(t, v.dirs.state, "run/one.2", "in the place of the directory of its next sockets")
	v.rollForWarmup(t.Context(), time.Now(), slices.Clone(sites), map[*site]*selfRoll{sites[0]: {}, sites[1]: {}})
	if one, two := v.site("one").Generation, v.site("two").Generation; one != 1 || two != 2 {
		t.Errorf("generations %d and %d, want 1 and 2", one, two)
	}
}

// TestSelfRoll_NotWhereItIsNotWanted: a site with a list of its own is left alone, and what
// its visitors ask for is not counted.
func TestSelfRoll_NotWhereItIsNotWanted(t *testing.T) {
	t.Parallel()
	v, _ := startVisited(t, t.TempDir(), `warmup = ["/"]`, "")
	v.visit(10)
	v.isLeftAlone()
	one, err := v.sites.find("one")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(one.warmup.asked.Pages()); n != 0 || v.site("one").Generation != 1 {
		t.Errorf("%d pages were counted, generation %d", n, v.site("one").Generation)
	}
}
