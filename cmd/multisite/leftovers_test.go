package main

import (
	"path/filepath"
	"strings"
	"testing"
)

const leftoverSites = `
listen = "127.0.0.1:0"
[defaults]
python_home = "${VENV}"
[site.popen]
server_name = "popen.example.com"
wsgi = "popen.wsgi"
processes = 2
[site.popen.service.helper]
command = ["sh", "-c", "sleep 4322 & until grep -q sleep /proc/$!/comm; do :; done; echo helper $!; wait"]
`

const popenScript = `
import subprocess
def application(environ, start_response):
    process = subprocess.Popen(["sleep", "4321"])
    start_response("200 OK", [])
    return [b"%d" % process.pid]
`

// TestLeftovers_AreInTheLog: processes that a view or a service started are killed with it, and
// the site's log names them.
func TestLeftovers_AreInTheLog(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, leftoverSites))
	writeFile(t, filepath.Join(r.dir, "popen.wsgi"), popenScript)
	r.start()
	t.Cleanup(func() { endIgnoringErrors(r) })
	pid := r.newVisitor().get("popen.example.com", "/").body
	r.waitLog("popen", ` popen/service.helper helper `)
	_, helper, _ := strings.Cut(r.siteLog("popen"), " popen/service.helper helper ")
	helper, _, _ = strings.Cut(helper, "\n")
	r.must("down")
	<-r.end.ch
	r.waitLog("popen", `level=WARN msg="killed with it" worker=popen/[12] pid=`+pid+` command="sleep 4321"`)
	r.waitLog("popen", `level=WARN msg="killed with it" service=popen/service.helper pid=`+helper+` command="sleep 4322"`)
}
