package main

import (
	"strings"
	"testing"
)

// loadModes are sites that load Django in every possible way.
const loadModes = pythonSites + `
home = "code"
settings = "edited_settings"
[site.one]
server_name = "one.example.com"
[site.many]
server_name = "many.example.com"
processes = 5
[site.single]
server_name = "single.example.com"
preload = false
[site.unshared]
server_name = "unshared.example.com"
processes = 5
preload = false
[site.forked]
server_name = "forked.example.com"
processes = 2
preload = true
[site.asleep]
server_name = "asleep.example.com"
processes = { min = 0, max = 2 }
`

// TestLoad_Views: a site with a view that cannot be imported does not load, in every mode,
// even if a middleware answers all requests before the view is needed.
func TestLoad_Views(t *testing.T) {
	t.Parallel()
	sites := []string{"asleep", "forked", "many", "one", "single", "unshared"}
	r := newRunning(t, newDir(t, loadModes))
	r.say("fine")
	r.write(t, "code/edited_settings.py", "from subdomain1_settings import *\nROOT_URLCONF = 'edited_urls'\nPREPEND_WWW = True\n")
	r.start()
	t.Cleanup(r.finish)
	r.write(t, "code/edited_urls.py", "from django.urls import include, path\nurlpatterns = [path('shop/', include('shop_urls'))]\n")
	r.write(t, "code/shop_urls.py", "import shop_views\nurlpatterns = []\n")
	r.write(t, "code/shop_views.py", "import no_such_thing\n")
	for _, command := range []struct {
		args []string
		code int
	}{{[]string{"check"}, 2}, {[]string{"reload"}, 1}} {
		got := r.multisite(command.args...)
		if got.code != command.code {
			t.Errorf("%v: exit %d, want %d", command.args, got.code, command.code)
		}
		for _, want := range []string{"ModuleNotFoundError: No module named 'no_such_thing'", "shop_views.py\", line 1"} {
			if !strings.Contains(got.stderr, want) {
				t.Errorf("%v does not say %q:\n%s", command.args, want, got.stderr)
			}
		}
		for _, site := range sites {
			if want := map[string]string{"check": "site " + site + ": Module", "reload": site + ": not changed, its old workers serve on\n"}[command.args[0]]; !strings.Contains(got.stderr, want) {
				t.Errorf("%v does not say %q:\n%s", command.args, want, got.stderr)
			}
		}
	}
	for _, site := range sites {
		if s := r.site(site); s.Generation != 1 || s.Failed == nil {
			t.Errorf("site %s: generation %d, failed %v", site, s.Generation, s.Failed)
		}
	}
	r.say("mended")
	if out := r.must("reload"); strings.Count(out, "new workers") != len(sites) {
		t.Errorf("mended: %q", out)
	}
	for _, site := range sites {
		if a := r.askSite(site, "/"); a.body != "mended" {
			t.Errorf("site %s answers %d %q", site, a.status, a.body)
		}
	}
}

// warmupSites is a site whose warm-up requests a path that always fails, one that may fail,
// and one that a middleware answers.
const warmupSites = pythonSites + `
[site.warm]
server_name = "warm.example.com"
home = "code"
python_path = ["${DJANGO}"]
settings = "edited_settings"
processes = 2
warmup = ["/always/", "/", "/moved/"]
`

const warmupURLs = `
import os
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path

def index(request):
    return HttpResponse("one")

def always(request):
    raise LookupError("as ever")

urlpatterns = [path("", index), path("always/", always), path("moved/", lambda request: HttpResponseRedirect("/login/"))]
`

// TestReload_Warmup: a path that the old workers answer must be answered by the new ones.
// A path that has always failed, or warms nothing, is reported.
func TestReload_Warmup(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, warmupSites))
	r.say("")
	r.write(t, "code/edited_urls.py", warmupURLs)
	r.start()
	t.Cleanup(r.finish)
	const told = "warm: warm-up: /always/: LookupError: as ever\nwarm: warm-up: /moved/: answered 302 Found, so the page itself was not run\n"
	if out := r.out.String(); !strings.HasSuffix(out, told) {
		t.Errorf("up printed %q", out)
	}
	if out := r.must("status"); !strings.Contains(strings.ReplaceAll(out, "\n\n", "\n"), told) {
		t.Errorf("status printed %s", out)
	}
	r.write(t, "code/edited_urls.py", strings.Replace(warmupURLs, `"one"`, `"two"`, 1))
	r.wantReload("warm: new workers, generation 2 (code changed)\n" + told)

	r.must("upgrade") // the new program knows which paths were answered
	for _, command := range []string{"reload", "restart"} {
		r.write(t, "code/edited_urls.py", strings.Replace(warmupURLs, `return HttpResponse("one")`, `return HttpResponse(no_such_name)`, 1))
		r.wantFailure([]string{command, "warm"},
			"site warm: warm-up request / failed, which the old workers answer: NameError: name 'no_such_name' is not defined", `edited_urls.py", line 7, in index`)
		r.write(t, "code/edited_urls.py", strings.Replace(warmupURLs, `HttpResponse("one")`, `HttpResponse(status=503)`, 1))
		r.wantFailure([]string{command, "warm"}, "site warm: warm-up request / failed, which the old workers answer: answered 503 Service Unavailable")
	}
	if a := r.askSite("warm", "/"); a.body != "two" || r.site("warm").Generation != 2 {
		t.Errorf("generation %d answers %q", r.site("warm").Generation, a.body)
	}
	r.write(t, "code/edited_urls.py", warmupURLs)
	r.wantReload("warm: new workers, generation 3 (code changed)\n" + told)
}
