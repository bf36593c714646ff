package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A supervisor whose state directory lies in a release (current -> releases/7) is not
// found there any more once the link leads to another one, or the release is removed.
// So it also listens on an abstract socket (unix(7)), which has no place in the file
// system, and tells its user alone which sites.toml it runs.

// About says who a supervisor is.
type About struct {
	PID      int    `json:"pid"`
	Config   string `json:"config"`    // absolute path of its sites.toml, as it was named
	Says     string `json:"says"`      // that sites.toml says of its state directory
	StateDir string `json:"state_dir"` // where that really is
}

// runs tells whether it is the supervisor of a sites.toml that names a state directory:
// by these names, or by others that lead to the same now.
func (a About) runs(config, stateDir string) bool {
	return sameFile(a.Config, config) && realPath(a.Says) == realPath(stateDir)
}

// nearbyName is the beginning of the names of abstract sockets of a user's supervisors.
func nearbyName() string { return fmt.Sprintf("@multisite/%d/", os.Geteuid()) }

// ListenNearby makes the abstract socket of this process. Only root and its own user
// are let in.
func ListenNearby() (net.Listener, error) {
	l, err := net.Listen("unix", fmt.Sprintf("%s%d", nearbyName(), os.Getpid()))
	if err != nil {
		return nil, err
	}
	return ownOnly{l.(*net.UnixListener)}, nil
}

type ownOnly struct{ *net.UnixListener }

// Accept returns the next connection of the own user or of root.
func (l ownOnly) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if uid, err := peer(conn); err == nil && (uid == 0 || uid == os.Geteuid()) {
			return conn, nil
		}
		conn.Close()
	}
}

func peer(conn *net.UnixConn) (uid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	controlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(controlErr, err); err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}

// askTime is how long a supervisor may take to say who it is.
const askTime = 5 * time.Second

// dialNearby connects to the own user's supervisor that runs a sites.toml which names
// this state directory, wherever that was when it was started.
func dialNearby(ctx context.Context, config, stateDir string) (net.Conn, error) {
	names, err := nearby()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if about, err := ask(ctx, name); err == nil && about.runs(config, stateDir) {
			return dialOwn(ctx, name)
		}
	}
	return nil, ErrNotRunning
}

// nearby returns the abstract sockets of the own user's supervisors.
func nearby() (names []string, err error) {
	f, err := os.Open("/proc/net/unix")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 8 { // it has no name, or somebody has made one with ends of lines in it
			continue
		}
		if name := fields[7]; strings.HasPrefix(name, nearbyName()) && fields[3] == "00010000" { // it listens
			names = append(names, name)
		}
	}
	return names, nil
}

// dialOwn connects to an abstract socket that our own user has made: anybody can take
// such a name.
func dialOwn(ctx context.Context, name string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", name)
	if err != nil {
		return nil, err
	}
	if uid, err := peer(conn.(*net.UnixConn)); err != nil || uid != os.Geteuid() {
		conn.Close()
		return nil, ErrNotRunning
	}
	return conn, nil
}

// ask asks a supervisor who it is.
func ask(ctx context.Context, name string) (about About, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return dialOwn(ctx, name) }
	client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://multisite/v1/about", nil)
	if err != nil {
		return about, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return about, err
	}
	defer resp.Body.Close()
	return about, json.NewDecoder(resp.Body).Decode(&about)
}

// realPath is where a name leads to that may not be there.
func realPath(name string) string {
	dir, err := filepath.EvalSymlinks(filepath.Dir(name))
	if err != nil {
		return name
	}
	return filepath.Join(dir, filepath.Base(name))
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}
