package supervisor

import (
	"slices"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/cron"
	"github.com/multisite/multisite/supervisor/task"
	"github.com/multisite/multisite/worker/account"
)

func TestTasks_SpecAndStatus(t *testing.T) {
	t.Parallel()
	daily, err := cron.Parse("@daily")
	if err != nil {
		t.Fatal(err)
	}
	c := &config.Site{
		Name: "shop", ShutdownTimeout: time.Second, GracefulTimeout: time.Minute,
		Services: []config.Service{{Name: "mail", Command: config.Command{Path: "/bin/mail", Args: []string{"mail", "-v"}}}},
		Cron:     []config.Cron{{Name: "tidy", Schedule: daily, Command: config.Command{Path: "/bin/tidy"}}},
	}
	s := sitesWithoutWorkers(t, c)
	k := newTasks(s.sites.all()[0], c)
	mail, tidy := task.ID{Kind: task.KindService, Name: "mail"}, task.ID{Kind: task.KindJob, Name: "tidy"}
	if got := []string{k.name(mail), k.name(tidy)}; !slices.Equal(got, []string{"shop/service.mail", "shop/cron.tidy"}) {
		t.Errorf("names %q", got)
	}
	if spec := k.spec(c); spec.Services[0].Command.Path != "/bin/mail" || !slices.Equal(spec.Services[0].Command.Args, []string{"mail", "-v"}) {
		t.Errorf("spec %+v", spec)
	}
	c.Services[0].Stop.Timeout = time.Hour
	if spec := k.spec(c); spec.Services[0].Stop.Timeout != time.Hour || spec.Jobs[0].Stop.Timeout != time.Minute {
		t.Errorf("spec %+v, want stop_timeout or else graceful_timeout", spec)
	}
	services, entries := k.status(&look{})
	if len(services) != 1 || services[0].Name != "mail" || services[0].State != "stopped" || services[0].Memory.PSS != 0 {
		t.Errorf("services %+v", services)
	}
	if len(entries) != 1 || entries[0].Name != "tidy" || entries[0].Schedule != "@daily" {
		t.Errorf("cron entries %+v", entries)
	}
	none := newTasks(s.sites.all()[0], &config.Site{})
	if services, entries := none.status(&look{}); services == nil || entries == nil {
		t.Error("no tasks are null in JSON, want []")
	}
}

// TestTasks_RunAsTheSite: with its environment and directory, and their output in its log.
func TestTasks_RunAsTheSite(t *testing.T) {
	t.Parallel()
	c := &config.Site{
		Name: "shop", Kind: config.App, Home: t.TempDir(), ShutdownTimeout: time.Second, Env: map[string]string{"NAME": "value"},
	}
	s := sitesWithoutWorkers(t, c)
	s.mark = "MULTISITE_LOCK=0:0"
	site := withGenerations(s).sites.all()[0]
	site.log = newSiteLog(s.logs, "shop")
	k := newTasks(site, c)
	p, err := k.start(c, task.Command{Path: "/bin/sh", Args: []string{"sh", "-c", `echo "$NAME $MULTISITE_LOCK $(pwd)"`}}, "shop/service.echo")
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	s.logs.Flush()
	if got, want := mustRead(t, s.logs.Dir()+"/shop.log"), " shop/service.echo value 0:0 "+c.Home+"\n"; len(got) < len(want) || got[len(got)-len(want):] != want {
		t.Errorf("the log has %q, want %q", got, want)
	}
	if _, err := k.start(c, task.Command{Path: "/nowhere"}, "shop/service.none"); err == nil {
		t.Error("a program that does not exist was started")
	}
}

func TestNeedsAndLimitsOf(t *testing.T) {
	t.Parallel()
	python, goSite := needsOf(&config.Site{Kind: config.WSGI, Threads: 4}), needsOf(&config.Site{Kind: config.App})
	if python.Tasks != 5 || goSite.Tasks <= 1 || goSite.Memory <= python.Memory {
		t.Errorf("Python %+v, Go %+v", python, goSite)
	}
	if got := limitsOf(&config.Site{Account: &account.Account{UID: 4711}, TasksLimit: 9}); got.UID != 4711 || got.TasksLimit != 9 {
		t.Errorf("got %+v", got)
	}
}

// TestCheckProcesses names each site that this machine cannot hold.
func TestCheckProcesses(t *testing.T) {
	t.Parallel()
	one := &config.Site{Name: "small", Processes: config.Range{Max: 1}}
	if err := CheckProcesses(&config.Config{Sites: []*config.Site{one}}); err != nil {
		t.Error(err)
	}
	huge := &config.Site{Name: "huge", Processes: config.Range{Max: 1 << 30}}
	other := *huge
	other.Name = "other"
	err := CheckProcesses(&config.Config{Sites: []*config.Site{one, huge, &other}})
	if problems := problemsOf(err); len(problems) != 2 || problems[0].Key != "site.huge.processes" {
		t.Errorf("got %v, want one for each of two", err)
	}
}

// TestHasRoomFor: what a site has already does not count.
func TestHasRoomFor(t *testing.T) {
	t.Parallel()
	c := &config.Site{Name: "blog", Processes: config.Range{Min: 1, Max: 1}}
	s := sitesWithoutWorkers(t, c)
	site := s.sites.all()[0]
	if err := site.hasRoomFor(c, 0); err != nil {
		t.Error(err)
	}
	if err := site.hasRoomFor(c, 1<<30); err == nil {
		t.Error("there is room for a billion workers")
	}
	more := *c
	more.Processes.Min = 1 << 30
	for _, tt := range []struct {
		name string
		file *config.Site
		fail bool
	}{{"as before", c, false}, {"more", &more, true}, {"a new site, which is checked as a whole", &config.Site{Name: "new", Processes: more.Processes}, false}} {
		if err := s.hasRoomFor(&config.Config{Sites: []*config.Site{tt.file}}); (err != nil) != tt.fail {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestCodeGroups: Python sites that load the same code are loaded once.
func TestCodeGroups(t *testing.T) {
	t.Parallel()
	site := func(name, settings string) *config.Site {
		return &config.Site{Name: name, ServerName: name, Kind: config.WSGI, Settings: settings}
	}
	got := codeGroups([]*config.Site{site("a", "shop"), {Name: "go", Kind: config.App}, site("b", "blog"), site("c", "shop")})
	want := [][]int{{0, 3}, {2}}
	if !slices.EqualFunc(got, want, slices.Equal[[]int]) {
		t.Errorf("got %v, want %v", got, want)
	}
}
