package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// explainListen adds a hint to errors of listening.
func explainListen(err error) error {
	if errors.Is(err, unix.EADDRINUSE) {
		who := "another program"
		if op := (*net.OpError)(nil); errors.As(err, &op) {
			if addr, ok := op.Addr.(*net.TCPAddr); ok {
				who = listenerOf(addr.Port, who)
			}
		}
		return &hintedError{err: err, hint: who + ` listens there; "listen" in sites.toml sets the address`}
	}
	if errors.Is(err, unix.EACCES) {
		return &hintedError{err: err, hint: "ports below 1024 need root or CAP_NET_BIND_SERVICE"}
	}
	return err
}

// listenerOf returns the process that listens on a TCP port, as "pid 7 (COMMAND)"; otherwise
// if it is not to be found, as when it is another user's.
func listenerOf(port int, otherwise string) string {
	inodes := listeningSockets(port)
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is valid
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil || !inodes[target] {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		command, _ := os.ReadFile("/proc/" + pid + "/cmdline") // it may just have exited
		return fmt.Sprintf("pid %s (%s)", pid, cut(string(bytes.TrimRight(bytes.ReplaceAll(command, []byte{0}, []byte{' '}), " ")), 60))
	}
	return otherwise
}

// listeningSockets returns the sockets that listen on a TCP port, as links to them look.
func listeningSockets(port int) map[string]bool {
	const listen = "0A"
	found := map[string]bool{}
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, _ := os.ReadFile(name) // there may be no IPv6
		for line := range bytes.Lines(b) {
			// "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …"
			f := strings.Fields(string(line))
			if len(f) < 10 || f[3] != listen {
				continue
			}
			_, hex, _ := strings.Cut(f[1], ":")
			if n, err := strconv.ParseInt(hex, 16, 32); err == nil && int(n) == port {
				found["socket:["+f[9]+"]"] = true
			}
		}
	}
	return found
}
