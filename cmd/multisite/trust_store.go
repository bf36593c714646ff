package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// trustStore is a set of certificates that programs trust.
type trustStore interface {
	fmt.Stringer
	install(*x509.Certificate) error
	uninstall(*x509.Certificate) error
}

// trustStores returns those of this machine and of the browsers of the caller.
func trustStores() (stores []trustStore) {
	for _, s := range []systemStore{
		{"/usr/local/share/ca-certificates", []string{"update-ca-certificates"}},           // Debian, Alpine
		{"/etc/pki/ca-trust/source/anchors", []string{"update-ca-trust", "extract"}},       // Fedora
		{"/etc/ca-certificates/trust-source/anchors", []string{"trust", "extract-compat"}}, // Arch
		{"/usr/share/pki/trust/anchors", []string{"update-ca-certificates"}},               // SUSE
	} {
		if _, err := os.Stat(s.dir); err != nil {
			continue
		}
		if _, err := exec.LookPath(s.update[0]); err == nil {
			stores = append(stores, s)
			break
		}
	}
	home, err := os.UserHomeDir()
	if _, lookErr := exec.LookPath("certutil"); err != nil || lookErr != nil {
		return stores
	}
	stores = append(stores, nssStore(filepath.Join(home, ".pki/nssdb"))) // Chromium
	profiles, _ := filepath.Glob(filepath.Join(home, ".mozilla/firefox/*/cert9.db"))
	for _, db := range profiles {
		stores = append(stores, nssStore(filepath.Dir(db)))
	}
	return stores
}

// trustName is what a root certificate is called in a store.
func trustName(root *x509.Certificate) string {
	sum := sha256.Sum256(root.Raw)
	return fmt.Sprintf("multisite-%x", sum[:6])
}

// systemStore is a directory of certificates, and the command that reads it.
type systemStore struct {
	dir    string
	update []string
}

func (s systemStore) String() string { return s.dir }

func (s systemStore) file(root *x509.Certificate) string {
	return filepath.Join(s.dir, trustName(root)+".crt")
}

func (s systemStore) install(root *x509.Certificate) error {
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})
	if err := os.WriteFile(s.file(root), text, 0o644); err != nil {
		return err
	}
	return runQuietly(s.update...)
}

func (s systemStore) uninstall(root *x509.Certificate) error {
	if err := os.Remove(s.file(root)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return runQuietly(s.update...)
}

// nssStore is the directory of a database of NSS, which browsers use.
type nssStore string

func (s nssStore) String() string { return string(s) }

func (s nssStore) install(root *x509.Certificate) error {
	if _, err := os.Stat(filepath.Join(string(s), "cert9.db")); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(string(s), 0o700); err != nil {
			return err
		}
		if err := runQuietly("certutil", "-N", "-d", "sql:"+string(s), "--empty-password"); err != nil {
			return err
		}
	}
	file, err := os.CreateTemp("", "multisite-*.pem")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // the system removes it some day
	err = errors.Join(pem.Encode(file, &pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}), file.Close())
	if err != nil {
		return err
	}
	return runQuietly("certutil", "-A", "-d", "sql:"+string(s), "-n", trustName(root), "-t", "C,,", "-i", file.Name())
}

func (s nssStore) uninstall(root *x509.Certificate) error {
	if runQuietly("certutil", "-L", "-d", "sql:"+string(s), "-n", trustName(root)) != nil {
		return nil // it is not there
	}
	return runQuietly("certutil", "-D", "-d", "sql:"+string(s), "-n", trustName(root))
}

// runQuietly runs a command, and returns what it has printed if it fails.
func runQuietly(args ...string) error {
	var said bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return nil
}
