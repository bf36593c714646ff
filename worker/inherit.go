package worker

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/hashicorp/go-plugin"
)

// inherited are the descriptors that the supervisor has opened for this process.
type inherited struct {
	listener   net.Listener // for requests; open as long as the worker serves
	handshake  *os.File     // closed after the handshake
	controlDir *os.File     // closed after the handshake
}

// errByHand is the error of a program that a person has started in a shell.
type errByHand struct{ program string }

func (e errByHand) Error() string {
	return fmt.Sprintf("%s is a multisite app and does not run by itself: put app = %q under a [site.NAME] in sites.toml and run `multisite up`",
		e.program, e.program)
}

// inherit takes over the inherited descriptors. It removes the variables that name them and
// sets close-on-exec, so that processes which the app starts get neither.
func inherit() (*inherited, error) {
	if os.Getenv(Handshake.MagicCookieKey) != Handshake.MagicCookieValue {
		return nil, errByHand{os.Args[0]}
	}
	_ = os.Unsetenv(Handshake.MagicCookieKey)
	fd, err := strconv.Atoi(os.Getenv(ListenEnv))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ListenEnv, err)
	}
	_ = os.Unsetenv(ListenEnv)
	for _, fd := range []int{fd, HandshakeFD, ControlDirFD} {
		syscall.CloseOnExec(fd)
	}
	socket := os.NewFile(uintptr(fd), "listener")
	defer socket.Close() // FileListener has made a copy
	l, err := net.FileListener(socket)
	if err != nil {
		return nil, fmt.Errorf("take over the listening socket: %w", err)
	}
	return &inherited{
		listener:   l,
		handshake:  os.NewFile(HandshakeFD, "handshake"),
		controlDir: os.NewFile(ControlDirFD, "control directory"),
	}, nil
}

// shakeHands writes the line that go-plugin's client in the supervisor waits for.
func (in *inherited) shakeHands(c *plugin.ReattachConfig) error {
	_, err := fmt.Fprintf(in.handshake, "%d|%d|%s|%s|%s|\n",
		plugin.CoreProtocolVersion, c.ProtocolVersion, c.Addr.Network(), c.Addr, c.Protocol)
	if err = errors.Join(err, in.handshake.Close(), in.controlDir.Close()); err != nil {
		return fmt.Errorf("shake hands with the supervisor: %w", err)
	}
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "PLUGIN_") {
			_ = os.Unsetenv(name) // they are for go-plugin, which has read them
		}
	}
	return nil
}
