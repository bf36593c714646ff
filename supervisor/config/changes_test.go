package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSite_LaunchValuesKeepTheirNames: a running supervisor of another version
// compares them by name.
func TestSite_LaunchValuesKeepTheirNames(t *testing.T) {
	t.Parallel()
	all := "app,env,home,kind,lang,locale,merge_pages,mount,name,preload,python_home,python_path,settings,stack_size,umask,user or group,wsgi"
	for kind, more := range map[Kind][]string{
		WSGI: {"threads"},
		Apps: {"server_name", "server_alias"}, // the apps know the names of their site
		App:  nil,
	} {
		want := append(strings.Split(all, ","), more...)
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys((&Site{Kind: kind}).LaunchValues())); !slices.Equal(got, want) {
			t.Errorf("%s: got  %q\nwant %q", kind, got, want)
		}
	}
	preload := `{"Mode":"","Warmup":null,"WarmupStrict":false,"GCFreeze":false,"SealHeap":false,"RelocateCode":false,"Immortal":""}`
	if got := string((&Site{Kind: WSGI}).LaunchValues()["preload"]); got != preload {
		t.Errorf("preload: got %s, want %s", got, preload)
	}
}

// TestSite_Changes: each change is either live or one of launch, and never both.
func TestSite_Changes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind   Kind
		change func(*Site)
		live   []string
		launch string
	}{
		{WSGI, func(*Site) {}, nil, ""},
		{WSGI, func(s *Site) { s.Position.Line, s.EnvFile, s.User = 7, "/srv/other.env", "33" }, nil, ""}, // Env and Account are the same
		{WSGI, func(s *Site) { s.Default, s.CPUPriority = true, 5 }, []string{"default", "cpu_priority"}, ""},
		{WSGI, func(s *Site) { s.Static = map[string]string{"/m/": "/srv"} }, []string{"static"}, ""},
		{WSGI, func(s *Site) { s.Index, s.Compress.Answers = "index.html", true }, []string{"index", "compress"}, ""},
		{App, func(s *Site) { s.Sendfile = map[string]string{"/m/": "/srv"} }, []string{"sendfile"}, ""},
		{WSGI, func(s *Site) { s.Threads, s.Lang = 2, "C" }, nil, "threads"},
		{App, func(s *Site) { s.Threads, s.Lang = 2, "C" }, []string{"threads"}, "lang"},
		{WSGI, func(s *Site) { s.Preload.GCFreeze = true }, nil, "preload"},
		{WSGI, func(s *Site) { s.Aliases = []string{"b"} }, []string{"server_alias"}, ""},
		{Apps, func(s *Site) { s.Aliases = []string{"b"} }, nil, "server_alias"},
	} {
		old := Site{Name: "a", Kind: test.kind}
		now := old
		test.change(&now)
		live, launch := now.LiveChanges(&old), now.LaunchChange(&old)
		if !slices.Equal(live, test.live) || launch != test.launch {
			t.Errorf("got %q and %q, want %q and %q", live, launch, test.live, test.launch)
		}
		if same := len(live) == 0 && launch == ""; old.Same(&now) != same {
			t.Errorf("%q, %q: Same is %v", live, launch, !same)
		}
	}
}

func TestSite_CodeViewHasWhatCodeCanSee(t *testing.T) {
	t.Parallel()
	full := &Site{
		Name: "a", ServerName: "a", Aliases: []string{"b"}, Default: true, Mount: "/m", Static: map[string]string{"/s/": "/srv"}, NoStatic: true,
		Index: "index.html", Compress: Compress{Answers: true}, Sendfile: map[string]string{"/p/": "/srv"},
		Kind: WSGI, Settings: "s", WSGI: "w", App: "a", Python: "/p", PythonPath: []string{"/q"}, Home: "/h", Env: map[string]string{"A": "b"},
		Lang: "C", Locale: "D", Processes: Range{1, 2}, Threads: 3, Preload: Preload{Mode: "auto"}, ListenBacklog: 4,
		QueueTimeout: 1, RequestTimeout: 2, StartupTimeout: 3, GracefulTimeout: 4, ShutdownTimeout: 5, InactivityTimeout: 6,
		MaxBody: 7, MaxClientsPerIP: 8, MaxTunnels: 22, MaximumRequests: 9, RestartInterval: 10, MemoryLimit: 11, MemoryLimitHard: 12, CPUTimeLimit: 13,
		CPUPriority: 14, StackSize: 15, TasksLimit: 16, Services: []Service{{Name: "s"}}, Cron: []Cron{{Name: "c"}}, ReloadOn: ReloadOn{Code: true},
	}
	want := &Site{
		Mount: "/m", Kind: WSGI, Settings: "s", WSGI: "w", App: "a", Python: "/p", PythonPath: []string{"/q"}, Home: "/h", Env: map[string]string{"A": "b"},
		Lang: "C", Locale: "D", Threads: 3, StartupTimeout: 3, StackSize: 15, TasksLimit: 16,
	}
	if got := full.CodeView(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestConfig_StartChanges(t *testing.T) {
	t.Parallel()
	old := &Config{Listen: []string{"127.0.0.1:80"}}
	now := &Config{
		Path: "/srv/sites.toml", Listen: []string{"127.0.0.1:81"}, LogKeep: 3, LogMaxSize: 4, Include: []string{"*.toml"}, ControlGroup: new(int),
		Dashboard: "127.0.0.1:82", StateDir: "/s", LogDir: "/l", Timeouts: Timeouts{Idle: time.Second},
	}
	want := []string{"listen", "dashboard", "state_dir", "log_dir", "idle_timeout"}
	if got := now.StartChanges(old); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := now.StartChanges(now); len(got) > 0 {
		t.Errorf("the same config: got %q, want none", got)
	}
}
