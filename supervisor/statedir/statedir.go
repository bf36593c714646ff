// Package statedir makes and guards the directory in which the supervisor keeps its
// state, and that of its logs: only the user that it runs as may decide what is in
// them, since programs that it executes and the socket that it obeys lie there. It also
// has the lock that lets one supervisor run for a state directory.
package statedir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// The entries of a state directory.
const (
	RunDir     = "run"        // the sockets of workers
	SpoolDir   = "spool"      // bodies and answers that do not fit into memory
	logsDir    = "logs"       // the log files, if log_dir does not say otherwise
	pythonDir  = "python"     // the code of the Python workers
	CertsDir   = "certs"      // certificates and their keys
	JournalDB  = "journal.db" // the journal
	KSMMarker  = "ksm"        // says that the kernel's switch for merging pages was turned on
	lockedFile = "multisite.pid"
)

// CodeDir returns where in a state directory the code of the Python workers is.
func CodeDir(dir string) string { return filepath.Join(dir, pythonDir) }

// Make makes a state directory that sites of other users may pass through, whatever
// the umask is. An existing one is left as it is, but refused with a RefusedError if
// another user could change what is in it.
func Make(dir string) error {
	state := owned{"state directory", "state_dir", dir}
	if err := state.make(0o711); err != nil {
		return err
	}
	for _, name := range []string{logsDir, RunDir, SpoolDir, CertsDir, pythonDir} {
		if err := state.check(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// MakeLogs makes a directory for logs, or refuses an existing one as Make does.
func MakeLogs(dir string) error {
	return owned{"log directory", "log_dir", dir}.make(0o700)
}

// Keep makes a state directory again if it was removed, together with the deployed
// version of a site that it was part of, for example.
func Keep(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, RunDir)); err == nil {
		return nil
	}
	if err := Make(dir); err != nil {
		return err
	}
	for _, name := range []string{RunDir, SpoolDir} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// KeepLogs makes a directory of logs again if it was removed.
func KeepLogs(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return MakeLogs(dir)
}
