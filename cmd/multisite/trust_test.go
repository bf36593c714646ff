package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTrust installs a root certificate in a directory as the system has one, and in a
// database of NSS, and removes it again.
func TestTrust(t *testing.T) {
	t.Parallel()
	root := newAuthority(t).cert
	dir := t.TempDir()
	nss := nssStore(filepath.Join(dir, "home", "nssdb"))
	stores := []trustStore{systemStore{dir, []string{"test", "-d", dir}}, nss}
	file := filepath.Join(dir, trustName(root)+".crt")
	has := func(want bool) {
		t.Helper()
		if got := exists(file); got != want {
			t.Errorf("%s is there: %v", file, got)
		}
		list, err := exec.Command("certutil", "-L", "-d", "sql:"+string(nss)).CombinedOutput()
		if got := strings.Contains(string(list), trustName(root)); err != nil || got != want {
			t.Errorf("NSS has it: %v (%v)\n%s", got, err, list)
		}
	}
	for range 2 {
		var out bytes.Buffer
		if err := trustIn(&out, stores, root, false); err != nil {
			t.Fatal(err)
		}
		has(true)
		if want := "Test CA: installed in " + dir + "\n"; !strings.HasPrefix(out.String(), want) {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	}
	for range 2 {
		if err := trustIn(&bytes.Buffer{}, stores, root, true); err != nil {
			t.Fatal(err)
		}
		has(false)
	}
	broken := systemStore{filepath.Join(dir, "none"), []string{"false"}}
	if err := trustIn(&bytes.Buffer{}, []trustStore{broken}, root, false); err == nil {
		t.Error("installing in a directory that is not there succeeds")
	}
	if err := trustIn(&bytes.Buffer{}, nil, root, false); err == nil {
		t.Error("installing nowhere succeeds")
	}
}

// TestTrust_Print makes the authority, whose key is for nobody else, and prints its root.
func TestTrust_Print(t *testing.T) {
	t.Parallel()
	dir := newDir(t, pythonSites+subdomain1)
	got := runIn(t, dir, "trust", "--print")
	again := runIn(t, dir, "trust", "--print")
	if got.code != 0 || !strings.HasPrefix(got.stdout, "-----BEGIN CERTIFICATE-----\n") || got.stdout != again.stdout {
		t.Errorf("exit %d, %q, then %q\n%s", got.code, got.stdout, again.stdout, got.stderr)
	}
	info, err := os.Stat(filepath.Join(dir, ".multisite", "certs", "internal", "root.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", info, err)
	}
	if os.Geteuid() == 0 { // a site of another user cannot read keys, even where it may pass through the state directory
		for _, name := range []string{"", "/internal", "/internal/root.key"} {
			if out := readAs(t, 65534, 65534, filepath.Join(dir, ".multisite", "certs")+name); !strings.Contains(out, "Permission denied") {
				t.Errorf("%s: another user reads %q", name, out)
			}
		}
	}
	if got := runIn(t, dir, "trust", "--print", "--uninstall"); got.code != 2 {
		t.Errorf("exit %d", got.code)
	}
}
