package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestZygotePostgres uses a real PostgreSQL, whose connections two processes cannot share:
// Django's connection, Django's pool, and one of the site's own.
func TestZygotePostgres(t *testing.T) {
	t.Parallel()
	psycopg, server := needPostgres(t)
	socket := startPostgres(t, server)
	const count = "from django.db import connection\n" +
		"with connection.cursor() as c:\n    c.execute('INSERT INTO hits (pid) VALUES (%s)', [os.getpid()])\n" +
		"    c.execute('SELECT 1 FROM hits WHERE pid = %s', [os.getpid()])\n    return str(c.fetchone())"
	const table = "from django.db import connection\n" +
		"with connection.cursor() as c:\n    c.execute('CREATE TABLE IF NOT EXISTS hits (pid int)')\n"
	cases := []contractCase{
		{"plain", table, count, `^\(1,\)$`, `^on$`},
		{"pooled", table, count, `^\(1,\)$`, `^on$`},
		{"own", table + "import psycopg\nmine = psycopg.connect(host=os.environ['PGHOST'], user='postgres')",
			"return str(mine.execute('SELECT pg_backend_pid() > 0').fetchone())", `^\(True,\)$`,
			`^off \(socket connected to .*/\.s\.PGSQL\.5432 \(descriptor \d+\)\)$`},
	}
	dir := t.TempDir()
	sites := strings.Replace(pythonSites, "env = {", fmt.Sprintf("env = { PGHOST = %q,", socket), 1) + "processes = 2\n"
	for i, c := range cases {
		code := filepath.Join(dir, c.name)
		writeContract(t, code, c)
		settings := fmt.Sprintf("from contract_settings import *\nDATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql',\n"+
			"    'HOST': os.environ['PGHOST'], 'USER': 'postgres', 'NAME': 'postgres', 'OPTIONS': {'pool': %s}}}\n",
			[]string{"False", "True", "False"}[i])
		if err := os.WriteFile(filepath.Join(code, "postgres_settings.py"), []byte("import os\n"+settings), 0o600); err != nil {
			t.Fatal(err)
		}
		sites += fmt.Sprintf("[site.%s]\nserver_name = \"%[1]s.example.com\"\nsettings = \"postgres_settings\"\npython_path = [%q, \"${DJANGO}\", %q]\n",
			c.name, code, psycopg)
	}
	if got := runIn(t, newDir(t, sites), "manage", "plain", "migrate", "--verbosity", "0"); got.code != 0 {
		t.Fatalf("migrate: exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	r := up(t, sites)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { wantContract(t, r.in(t), c) })
	}
	r.endOneWorkerEach(cases)
	for _, c := range cases {
		t.Run(c.name+" with a new worker", func(t *testing.T) { wantContract(t, r.in(t), c) })
	}
	for _, c := range cases {
		if log := r.siteLog(c.name); strings.Contains(log, "Traceback") {
			t.Errorf("site %s:\n%s", c.name, log)
		}
	}
}

// needPostgres returns a directory with psycopg and the one with PostgreSQL's
// programs. Where one of them cannot be had, only the long run fails.
func needPostgres(t *testing.T) (psycopg, server string) {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("MULTISITE_LONG") != "" {
		missing = t.Fatalf
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin") // where Debian installs them
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		missing("there is no PostgreSQL to test with: run 'apt-get install postgresql'")
	}
	psycopg = t.TempDir()
	python := filepath.Join(django(t), ".venv", "bin", "python3")
	out, err := exec.Command(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
		"--retries", "1", "--timeout", "20", "--target", psycopg, "psycopg[binary,pool]").CombinedOutput()
	if err != nil {
		missing("there is no psycopg to test with, and the package index cannot be reached: %v\n%s", err, out)
	}
	return psycopg, found[len(found)-1]
}

// startPostgres runs a server of the test's own and returns the directory of its
// socket.
func startPostgres(t *testing.T, bin string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "postgres") // short: the kernel limits the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	attr := asPostgres(t, dir)
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "--auth=trust", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	server.SysProcAttr, server.Dir = attr, dir
	log, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT) // its fast shutdown; it may have ended
		_ = server.Wait()
	})
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "ready to accept connections") {
			go func() {
				for lines.Scan() { // or it would block
				}
			}()
			return dir
		}
		t.Log(lines.Text())
	}
	t.Fatal("PostgreSQL did not start")
	return ""
}

// asPostgres gives a directory to a user who may run PostgreSQL, which root may not.
func asPostgres(t *testing.T, dir string) *syscall.SysProcAttr {
	t.Helper()
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Getuid() != 0 {
		return attr
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr
}
