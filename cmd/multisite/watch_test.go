package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// watchedApp is a WSGI application whose code contains its answer.
const watchedApp = `import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%s"]
`

const watchedSites = `
listen = "127.0.0.1:0"
[defaults]
python_home = "${VENV}"
processes = 1
[site.code]
server_name = "code.example.com"
home = "src"
wsgi = "app:application"
reload_on = ["code"]
[site.touch]
server_name = "touch.example.com"
home = "src"
wsgi = "app:application"
reload_on = "touch:reload.txt"
[site.release]
server_name = "release.example.com"
home = "current"
wsgi = "app:application"
reload_on = "code"
[site.still]
server_name = "still.example.com"
home = "src"
wsgi = "app:application"
`

// TestWatch: sites that reload by themselves. The parts share one supervisor and run in this
// order.
func TestWatch(t *testing.T) {
	t.Parallel()
	r := watchedUp(t, watchedSites)
	r.parts(t, []part{
		{"several files are one reload", watchSeveral},
		{"a new package", watchPackage},
		{"what is no code is no reason", watchData},
		{"broken code is reported, and repaired by the next change", watchBroken},
		{"a file that is touched", watchTouch},
		{"a link that leads to another release", watchRelease},
		{"what a person has reloaded already", watchByHand},
		{"reload_on itself changes", watchReloadOn},
	})
}

func watchedUp(t *testing.T, sites string, flags ...string) *running {
	t.Helper()
	r := &running{t: t, dir: newDir(t, sites), out: &screen{}, log: &screen{}, flags: flags}
	for _, release := range []string{"src", "releases/1", "releases/2"} {
		r.write(t, release+"/app.py", fmt.Sprintf(watchedApp, release))
	}
	if err := os.Symlink("releases/1", filepath.Join(r.dir, "current")); err != nil {
		t.Fatal(err)
	}
	r.start()
	t.Cleanup(r.finish)
	return r
}

// write writes a file below the test's directory.
func (r *running) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// paused calls f while the supervisor is stopped.
func (r *running) paused(f func()) {
	r.t.Helper()
	signal := func(sig syscall.Signal) {
		if err := syscall.Kill(r.pid, sig); err != nil {
			r.t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	defer signal(syscall.SIGCONT)
	f()
}

// waitAnswer waits until a site gives this answer.
func (r *running) waitAnswer(site, want string) {
	r.t.Helper()
	eventually(r.t, site+" to answer "+want, func() bool {
		a := r.get(site+".example.com", "/")
		if a.status != 200 {
			r.t.Fatalf("%s: status %d", site, a.status)
		}
		return a.body == want
	})
}

// wantGenerations compares the generation of each site.
func (r *running) wantGenerations(want string) {
	r.t.Helper()
	var got []string
	for _, s := range r.status().Sites {
		got = append(got, fmt.Sprint(s.Name, " ", s.Generation))
	}
	if got := strings.Join(got, ", "); got != want {
		r.t.Errorf("generations %s, want %s", got, want)
	}
}

func watchSeveral(t *testing.T, r *running) {
	r.paused(func() { // however slow this machine is
		for i := range 20 {
			r.write(t, fmt.Sprintf("src/module%d.py", i), "x = 1\n")
		}
		r.write(t, "src/app.py", fmt.Sprintf(watchedApp, "two"))
	})
	r.waitAnswer("code", "two")
	r.wantGenerations("code 2, release 1, still 1, touch 1")
	if a := r.get("still.example.com", "/"); a.body != "src" {
		t.Errorf("the site that watches nothing answers %q", a.body)
	}
}

func watchPackage(t *testing.T, r *running) {
	r.paused(func() {
		r.write(t, "src/package/below/deep.py", "answer = b'deep'\n")
		r.write(t, "src/app.py", "from package.below import deep\n"+strings.Replace(watchedApp, `b"%s"`, "deep.answer", 1))
	})
	r.waitAnswer("code", "deep")
	r.write(t, "src/package/below/deep.py", "answer = b'deeper'\n")
	r.waitAnswer("code", "deeper")
	r.wantGenerations("code 4, release 1, still 1, touch 1")
}

func watchData(t *testing.T, r *running) {
	r.write(t, "src/data.sqlite3", "x")
	r.write(t, "src/package/.hidden/x.py", "x")
	r.write(t, "src/node_modules/x.py", "x")
	r.write(t, "src/app.py", fmt.Sprintf(watchedApp, "after data")) // reported after the changes before it
	r.waitAnswer("code", "after data")
	r.wantGenerations("code 5, release 1, still 1, touch 1")
}

func watchBroken(t *testing.T, r *running) {
	r.write(t, "src/app.py", "this is no Python\n")
	failed := regexp.MustCompile(`level=ERROR msg="reload failed" error=.*site code: SyntaxError`)
	eventually(t, "the failure to be reported", func() bool { return failed.MatchString(r.log.String()) })
	r.waitLog("code", `code/1|SyntaxError: `)
	r.waitAnswer("code", "after data")
	if s := r.site("code"); s.State != "running" || s.Generation != 5 {
		t.Errorf("the site is %s, generation %d", s.State, s.Generation)
	}
	r.write(t, "src/app.py", fmt.Sprintf(watchedApp, "mended"))
	r.waitAnswer("code", "mended")
	r.wantGenerations("code 6, release 1, still 1, touch 1")
}

func watchTouch(t *testing.T, r *running) {
	r.write(t, "reload.txt", "")
	r.waitAnswer("touch", "mended")
	r.waitLog("multisite", `msg=reload change="touch: new workers, generation 2 \(code changed\)"`)
	if err := os.Chtimes(filepath.Join(r.dir, "reload.txt"), time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new worker", func() bool { return r.site("touch").Generation == 3 })
	r.waitLog("multisite", `msg=reload change="touch: new workers, generation 3 \(touched\)"`)
	if err := os.Remove(filepath.Join(r.dir, "reload.txt")); err != nil { // a removal is no touch
		t.Fatal(err)
	}
	r.write(t, "releases/1/app.py", fmt.Sprintf(watchedApp, "one again"))
	r.waitAnswer("release", "one again")
	r.wantGenerations("code 6, release 2, still 1, touch 3")
}

func watchRelease(t *testing.T, r *running) {
	next := filepath.Join(r.dir, "next")
	if err := os.Symlink("releases/2", next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(r.dir, "current")); err != nil {
		t.Fatal(err)
	}
	r.waitAnswer("release", "releases/2")
	r.write(t, "releases/2/app.py", fmt.Sprintf(watchedApp, "two again")) // the new directory is watched
	r.waitAnswer("release", "two again")
	r.wantGenerations("code 6, release 4, still 1, touch 3")
}

func watchByHand(t *testing.T, r *running) {
	r.write(t, "src/app.py", fmt.Sprintf(watchedApp, "by hand"))
	r.must("reload")
	r.waitAnswer("code", "by hand")
	r.waitAnswer("still", "by hand")
	r.write(t, "releases/2/app.py", fmt.Sprintf(watchedApp, "later")) // reported after the changes before it
	r.waitAnswer("release", "later")
	r.wantGenerations("code 7, release 5, still 2, touch 4")
}

func watchReloadOn(t *testing.T, r *running) {
	r.edit(t, "[site.still]\n", "[site.still]\nreload_on = 'code'\n")
	if got, want := r.must("reload"), "still: reload_on changed, no worker restarted\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r.write(t, "src/app.py", fmt.Sprintf(watchedApp, "watched"))
	r.waitAnswer("still", "watched")
	r.waitAnswer("code", "watched")
	r.wantGenerations("code 8, release 5, still 3, touch 4")
}

// TestWatch_Up watches the code of sites that do not ask for it.
func TestWatch_Up(t *testing.T) {
	t.Parallel()
	r := watchedUp(t, watchedSites, "--watch")
	r.write(t, "src/app.py", fmt.Sprintf(watchedApp, "watched"))
	for _, site := range []string{"code", "touch", "still"} {
		r.waitAnswer(site, "watched")
	}
	r.wantGenerations("code 2, release 1, still 2, touch 2")
}
