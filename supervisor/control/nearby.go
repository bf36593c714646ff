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

// A state directory may lie in a release directory (current -> releases/7). Once the link
// leads to another release, or the release is removed, its control socket cannot be
// found by its path any more. So the supervisor also listens on an abstract socket
// (unix(7)), which has no place in the file system. There it answers only its own user
// and root.

// About says which supervisor answers.
type About struct {
	PID      int    `json:"pid"`
	Config   string `json:"config"`    // absolute path of its sites.toml, with the links in it as the user named them
	Says     string `json:"says"`      // the state directory as sites.toml names it
	StateDir string `json:"state_dir"` // where the state directory was at the start
}

// runs reports whether a is the supervisor of the sites.toml at config, which names a
// state directory. Different names that now lead to the same file or directory match.
func (a About) runs(config, stateDir string) bool {
	return sameFile(a.Config, config) && realPath(a.Says) == realPath(stateDir)
}

// nearbyName returns the prefix of the abstract sockets of this user's supervisors.
func nearbyName() string { return fmt.Sprintf("@multisite/%d/", os.Geteuid()) }

// ListenNearby creates the abstract socket of this process. It accepts connections only
// from root and from the user of this process.
func ListenNearby() (net.Listener, error) {
	l, err := net.Listen("unix", fmt.Sprintf("%s%d", nearbyName(), os.Getpid()))
	if err != nil {
		return nil, err
	}
	return ownOnly{l.(*net.UnixListener)}, nil
}

// ownOnly is a listener that accepts only connections from the own user and root.
type ownOnly struct{ *net.UnixListener }

// Accept returns the next connection from the own user or root.
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

// peer returns the user at the other end of conn.
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

// askTime bounds how long ask waits for an answer.
const askTime = 5 * time.Second

// dialNearby connects to the supervisor of this user that runs the sites.toml at config,
// wherever its state directory was when it started.
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

// nearby returns the names of the abstract sockets of this user's supervisors.
func nearby() (names []string, err error) {
	f, err := os.Open("/proc/net/unix")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) != 8 { // a socket without a name, or with line breaks in its name
			continue
		}
		if name := fields[7]; strings.HasPrefix(name, nearbyName()) && fields[3] == "00010000" { // listening
			names = append(names, name)
		}
	}
	return names, nil
}

// dialOwn connects to an abstract socket, and fails unless it belongs to this user:
// anybody can create a socket with such a name.
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

// ask asks the supervisor at an abstract socket which one it is.
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

// realPath resolves the links in the directory of name. What name itself refers to need
// not exist.
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
