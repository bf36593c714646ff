package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// contractCase is a real Django project with one line that a fork may not survive, and what
// status must say about it.
type contractCase struct {
	name    string
	made    string // Python, when the site is imported
	use     string // Python, in a view: return what it answers
	answers string // what that must match
	preload string // what status must say
}

// Cases that are fork-safe, or are made so: the workers share memory.
var contractShared = []contractCase{
	{"database", "from django.db import connection\nconnection.ensure_connection()",
		"from django.contrib.sites.models import Site\nreturn str(Site.objects.count())", `^2$`, `^on$`},
	{"executor", "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor()",
		"return pool.submit(str, 7).result()", `^7$`, `^on$`},
	{"append", "log = open(os.environ['DIR'] + '/append.log', 'a')",
		"log.write('%d\\n' % os.getpid())\nlog.flush()\nreturn 'written'", `^written$`, `^on$`},
	{"seed", "import random\nrandom.seed(7)", "return str(random.random())", `^0\.\d+$`, `^on$`},
	{"atexit", "import atexit\natexit.register(open(os.environ['DIR'] + '/atexit.log', 'a').write, 'done\\n')",
		"return 'registered'", `^registered$`, `^on$`},
	{"tempdir", "import tempfile\nkept = tempfile.TemporaryDirectory(dir=os.environ['DIR'], prefix='kept-')\nopen(kept.name + '/file', 'w').close()",
		"return str(os.listdir(kept.name))", `^\['file'\]$`, `^on$`},
	{"signal", "import signal\nsignal.signal(signal.SIGUSR2, lambda *_: None)",
		"os.kill(os.getpid(), signal.SIGUSR2)\nreturn 'alive'", `^alive$`, `^on$`},
}

// Cases that are not fork-safe: each worker loads the site itself, and status says why.
var contractLoaded = []contractCase{
	{"thread", "import threading\nasked = threading.Event()\nanswered = threading.Event()\n" +
		"def serve():\n    while asked.wait():\n        answered.set()\n" +
		"threading.Thread(target=serve, name='exporter', daemon=True).start()",
		"asked.set()\nreturn str(answered.wait(10))", `^True$`, `^off \(thread "exporter" started in contract\.py:\d+\)$`},
	{"busypool", "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor()\npool.submit(int).result()",
		"return pool.submit(str, 7).result()", `^7$`, `^off \(thread "ThreadPoolExecutor-\d_0" started in contract\.py:\d+\)$`},
	{"client", "import socket\nsock = socket.create_connection(('127.0.0.1', int(os.environ['PORT'])))",
		"sock.sendall(b'x')\nreturn str(sock.recv(1))", `^b'x'$`, `^off \(socket connected to 127\.0\.0\.1:\d+, opened in contract\.py:\d+\)$`},
	{"listener", "import socket\nsock = socket.create_server(('127.0.0.1', 0))",
		"with socket.create_connection(sock.getsockname()):\n    return str(sock.accept()[1][0])", `^127\.0\.0\.1$`,
		`^off \(socket listening on 127\.0\.0\.1:\d+, opened in contract\.py:\d+\)$`},
	{"writable", "file = open(os.environ['DIR'] + '/written', 'w+')",
		"file.seek(0)\nfile.write('mine')\nfile.flush()\nfile.seek(0)\nreturn file.read()", `^mine`,
		`^off \(file .*/written open for writing \(descriptor \d+\)\)$`},
	{"fork", "import signal\nchild = os.fork()\nif child == 0:\n    signal.pause()",
		"os.kill(child, 0)\nreturn str(child)", `^\d+$`, `^off \(child process \d+ \(.*\)\)$`},
	{"program", "import subprocess\nchild = subprocess.Popen(['sleep', '1000'])",
		"return str(child.poll())", `^None$`, `^off \(child process \d+ \(sleep 1000\)\)$`},
	{"mapping", "import mmap\nmemory = mmap.mmap(-1, 4096)",
		"memory[:4] = b'mine'\nreturn str(memory[:4])", `^b'mine'$`, `^off \(shared memory .*\)$`},
}

func TestZygoteContract_WhatIsUnsafeAtImport(t *testing.T) {
	t.Parallel()
	t.Run("shared", func(t *testing.T) { wantExitWorkOnce(t, serveContracts(t, contractShared)) })
	t.Run("loaded by each worker", func(t *testing.T) { serveContracts(t, contractLoaded) })
}

// serveContracts runs one site for each case in one supervisor. They do not affect each
// other.
func serveContracts(t *testing.T, cases []contractCase) (dir string) {
	dir = t.TempDir()
	sites := fmt.Sprintf("%sprocesses = 2\n", strings.Replace(pythonSites, "env = {",
		fmt.Sprintf("env = { DIR = %q, PORT = %q,", dir, echoPort(t)), 1))
	for _, c := range cases {
		writeContract(t, filepath.Join(dir, c.name), c)
		sites += fmt.Sprintf("[site.%s]\nserver_name = \"%[1]s.example.com\"\nsettings = \"contract_settings\"\npython_path = [%q, \"${DJANGO}\"]\n",
			c.name, filepath.Join(dir, c.name))
	}
	t.Run("up", func(t *testing.T) {
		r := up(t, sites)
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) { wantContract(t, r.in(t), c) })
		}
		r.endOneWorkerEach(cases)
		for _, c := range cases {
			t.Run(c.name+" with a new worker", func(t *testing.T) { wantContract(t, r.in(t), c) })
		}
	})
	return dir
}

// wantExitWorkOnce checks that what the code creates when it is loaded is removed by the
// process that loaded it, and not by each of three workers.
func wantExitWorkOnce(t *testing.T, dir string) {
	kept, err := filepath.Glob(filepath.Join(dir, "kept-*"))
	if err != nil || len(kept) > 0 {
		t.Errorf("temporary directories left behind: %q, %v", kept, err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "atexit.log"))
	if n := strings.Count(string(b), "done\n"); err != nil || n == 0 || n > 2 {
		t.Errorf("the handler ran %d times, %v, want it in the zygote, and in the learner if there was one", n, err)
	}
}

// writeContract writes the modules of a site.
func writeContract(t *testing.T, dir string, c contractCase) {
	t.Helper()
	view := "    " + strings.ReplaceAll(c.use, "\n", "\n    ")
	for name, text := range map[string]string{
		"contract.py": "import os, time\nfrom django.http import HttpResponse\n" + c.made + "\n\ndef use():\n" + view +
			"\n\ndef view(request):\n    time.sleep(0.02)\n    return HttpResponse('%d %s' % (os.getpid(), use()))\n",
		"contract_settings.py": "from subdomain1_settings import *\nROOT_URLCONF = 'contract_urls'\n",
		"contract_urls.py": "from django.urls import path\nfrom subdomain1_urls import urlpatterns as article\nimport contract\n" +
			"urlpatterns = [path('contract/', contract.view)] + article\n",
	} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// wantContract asks both workers of a site several times at once.
func wantContract(t *testing.T, r *running, c contractCase) {
	host := c.name + ".example.com"
	if got := r.site(c.name).Preload; !regexp.MustCompile(c.preload).MatchString(got) {
		t.Errorf("preload %q, want %s", got, c.preload)
	}
	var (
		mu      sync.Mutex
		wg      sync.WaitGroup
		pids    = map[string]bool{}
		answers = map[string]int{}
	)
	for range 12 {
		wg.Go(func() {
			a, err := r.newVisitor().do(newRequest(t, http.MethodGet, host, "/contract/", nil))
			pid, got, _ := strings.Cut(a.body, " ")
			mu.Lock()
			defer mu.Unlock()
			pids[pid] = true
			answers[got]++
			if err != nil || a.status != http.StatusOK || !regexp.MustCompile(c.answers).MatchString(got) {
				t.Errorf("status %d, %v: %.300q, want %s", a.status, err, got, c.answers)
			}
		})
	}
	wg.Wait()
	if len(pids) != 2 {
		t.Errorf("%d workers answered, want both", len(pids))
	}
	if c.name == "seed" && len(answers) != 12 {
		t.Errorf("the generator gave %v: its workers draw the same numbers", answers)
	}
	if a := r.get(host, "/hello/"); a.status != http.StatusOK || !strings.HasPrefix(a.body, "Hello from Subdomain One") {
		t.Errorf("/hello/: status %d: %s", a.status, a.body)
	}
}

// endOneWorkerEach lets a worker of each site exit normally, with its exit handlers, and
// waits for the new ones.
func (r *running) endOneWorkerEach(cases []contractCase) {
	r.t.Helper()
	for _, c := range cases {
		if err := syscall.Kill(r.site(c.name).Workers[0].PID, syscall.SIGTERM); err != nil {
			r.t.Error(err)
		}
	}
	for _, c := range cases {
		eventually(r.t, "site "+c.name+" to have a new worker", func() bool {
			s := r.site(c.name)
			return s.Restarts == 1 && s.State == "running"
		})
	}
}

// echoPort listens on a port that echoes every byte.
func echoPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				b := make([]byte, 1)
				for {
					if _, err := conn.Read(b); err != nil {
						return
					}
					if _, err := conn.Write(b); err != nil {
						return
					}
				}
			}()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
