package supervisor

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/code"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/status"
	"github.com/multisite/multisite/supervisor/task"
	"github.com/multisite/multisite/worker/process"
	"github.com/multisite/multisite/worker/wsgi"
)

// TestDifferingKey: only keys count that new workers would get, and both versions know.
func TestDifferingKey(t *testing.T) {
	t.Parallel()
	base := config.Site{Name: "shop", Kind: config.WSGI, Threads: 1, Env: map[string]string{"A": "1"}}
	for _, test := range []struct {
		name, want string
		change     func(*config.Site)
	}{
		{"nothing", "", func(*config.Site) {}},
		{"a live key", "", func(c *config.Site) { c.ServerName, c.Processes = "shop.example.com", config.Range{Min: 2, Max: 3} }},
		{"environment", "env", func(c *config.Site) { c.Env = map[string]string{"A": "2"} }},
		{"threads", "threads", func(c *config.Site) { c.Threads = 2 }},
		{"settings", "settings", func(c *config.Site) { c.Settings = "shop.settings" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			now := base
			test.change(&now)
			if got := differingKey(base.LaunchValues(), now.LaunchValues()); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	goSite := base
	goSite.Kind = config.App
	left, more := goSite.LaunchValues(), goSite
	more.Threads = 2
	if got := differingKey(left, more.LaunchValues()); got != "" {
		t.Errorf("threads of a Go site, which its program is not told: %q", got)
	}
	older := base.LaunchValues()
	delete(older, "threads")
	if got := differingKey(older, base.LaunchValues()); got != "" {
		t.Errorf("a key that the older version did not know: %q", got)
	}
}

// TestHandover_JSON: another version of this program reads it, so no key may change.
func TestHandover_JSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	h := handover{
		Version: "v1", Started: at, Paused: at, Lock: 1, Listen: []int{2}, External: true, Page: 3, PageOf: "a:1", PageToken: "t",
		Control: 4, Caller: 5, Clients: []int{6}, Greeting: []int{8}, StateDir: "/s", LogDir: "/l", Refused: map[int]int64{421: 1},
		Partial: []partialRequest{{7, []byte("G")}},
		Sites: []siteHandover{{
			Name: "shop", Generations: 1, Sockets: "/s/run/shop.1", Paths: code.Paths{"/a": "/b"}, Retired: []string{"/r"},
			Launched: map[string]json.RawMessage{"threads": json.RawMessage("2")}, Code: []code.Sum{{Kind: code.Directory, Path: "/c", Sum: "d"}},
			Total: 2, Errors: 3, LastExit: "e", Static: []wsgi.Static{}, Workers: []workerHandover{{}},
			siteTasks: siteTasks{Services: map[string]taskHandover{"mail": {}}, Jobs: map[string]taskHandover{"tidy": {}}},
		}},
	}
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Sites []map[string]json.RawMessage
	}
	var top map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(b, &got), json.Unmarshal(b, &top)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		what string
		keys map[string]json.RawMessage
		want string
	}{
		{"supervisor", top, "begun caller clients clients_tls control handed listen lock log_dir metrics page page_of page_token paused refused sites started state_dir version"},
		{"site", got.Sites[0], "built code errors generations jobs last_exit measured name pool retired services sockets sources total workers"},
	} {
		if keys := strings.Join(slices.Sorted(maps.Keys(tt.keys)), " "); keys != tt.want {
			t.Errorf("%s: got  %s\nwant %s", tt.what, keys, tt.want)
		}
	}
	if want := `{"fd":7,"read":"Rw=="}`; !strings.Contains(string(b), want) {
		t.Errorf("%s has no %s", b, want)
	}
	if n := h.Sites[0].threads(7); n != 2 {
		t.Errorf("%d threads, want those of the workers", n)
	}
	if n := (siteHandover{}).threads(7); n != 7 {
		t.Errorf("%d threads, want the fallback", n)
	}
}

// TestRegistry: a site that is added is started, in order of name, and not after the end.
func TestRegistry(t *testing.T) {
	t.Parallel()
	var started []string
	r := &registry{sites: []*site{{name: "blog"}}}
	life := newLifetime()
	r.startAll(func(t, _ *site) { started = append(started, t.name) })
	before := r.all()
	for _, name := range []string{"shop", "api"} {
		if err := r.add(&site{name: name}, life.ending); err != nil {
			t.Fatal(err)
		}
	}
	life.end()
	life.end() // twice is once
	if err := r.add(&site{name: "late"}, life.ending); err != errStopping {
		t.Errorf("added after the end: %v", err)
	}
	names := func() (names []string) {
		for _, t := range r.all() {
			names = append(names, t.name)
		}
		return names
	}
	if got, want := names(), []string{"api", "blog", "shop"}; !slices.Equal(got, want) {
		t.Errorf("sites %q, want %q", got, want)
	}
	if want := []string{"blog", "shop", "api"}; !slices.Equal(started, want) {
		t.Errorf("started %q, want %q", started, want)
	}
	blog, err := r.find("blog")
	if err != nil {
		t.Fatal(err)
	}
	r.remove(blog)
	if got, want := names(), []string{"api", "shop"}; !slices.Equal(got, want) || len(before) != 1 || before[0] != blog {
		t.Errorf("sites %q, want %q; before there was %v", got, want, before)
	}
	var e *control.Error
	if _, err := r.find("shpo"); !errors.As(err, &e) || !e.Usage || e.Hint != `did you mean "shop"?` {
		t.Errorf("a mistyped name: %v", err)
	}
}

// TestHandover_JSONOfTasks: the keys about processes that were told to exit are optional, so
// that an older version reads the rest.
func TestHandover_JSONOfTasks(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	told := &task.Told{Reason: "reload", Began: at, Timeout: time.Second, By: at}
	h := handover{Leaving: []siteTasks{{Site: "shop", Services: map[string]taskHandover{"mail": {
		Handover: task.Handover{Stop: &task.Stop{Timeout: time.Second, Signal: 15}, Told: told, OldTold: told, Restart: "reload"},
		Running:  &process.Handover{PID: 1}, Old: &process.Handover{PID: 2},
	}}}}}
	b, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	toldJSON := `{"reason":"reload","began":"2026-01-02T03:04:05Z","timeout":1000000000,"by":"2026-01-02T03:04:05Z"}`
	want := `"leaving":[{"site":"shop","services":{"mail":{"started":"0001-01-01T00:00:00Z","stop":{"timeout":1000000000,"signal":15},"told":` + toldJSON +
		`,"old":` + toldJSON + `,"restart":"reload","running":{"pid":1,"limits":{}},"old_running":{"pid":2,"limits":{}}}}}]`
	if !strings.Contains(string(b), want) {
		t.Errorf("got\n%s\nwant\n%s", b, want)
	}
	var got handover
	if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got.Leaving, h.Leaving) {
		t.Errorf("%v, got %+v, want %+v", err, got.Leaving, h.Leaving)
	}
	plain, err := json.Marshal(taskHandover{})
	if want := `{"started":"0001-01-01T00:00:00Z"}`; err != nil || string(plain) != want {
		t.Errorf("%v, got %s, want %s", err, plain, want)
	}
}

// TestRegistry_Leaving: a site that was removed is known until nothing of it runs any
// more, and one that comes back starts after it.
func TestRegistry_Leaving(t *testing.T) {
	t.Parallel()
	blog := &site{name: "blog"}
	r := &registry{sites: []*site{blog}}
	var after []*site
	r.startAll(func(_, before *site) { after = append(after, before) })
	r.remove(blog)
	if got := r.leaving(); len(r.all()) != 0 || !slices.Equal(got, []*site{blog}) {
		t.Errorf("leaving %v of %v", got, r.all())
	}
	for _, name := range []string{"blog", "shop"} {
		if err := r.add(&site{name: name}, newLifetime().ending); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(after, []*site{nil, blog, nil}) {
		t.Errorf("started after %v, want the old blog before the new one only", after)
	}
	if !r.forget(blog) || r.forget(blog) || len(r.leaving()) != 0 {
		t.Errorf("leaving %v after forget", r.leaving())
	}
}

func TestAddLeaving(t *testing.T) {
	t.Parallel()
	old := status.Site{Name: "blog", State: "stopped", Services: []status.Service{{Name: "mail", State: "stopping"}}}
	sites := addLeaving([]status.Site{{Name: "blog", State: "running", Services: []status.Service{{Name: "mail", State: "stopped"}}}}, old)
	if len(sites) != 1 || sites[0].State != "running" || sites[0].Services[0].State != "stopping" {
		t.Errorf("got %+v, want the site that has come back, with its old service", sites)
	}
	old.Name = "shop"
	if sites = addLeaving(sites, old); len(sites) != 2 || sites[1].Name != "shop" {
		t.Errorf("got %+v, want both sites", sites)
	}
}
