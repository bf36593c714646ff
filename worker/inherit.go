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

// inherited is what the supervisor left to this process.
type inherited struct {
	listener   net.Listener
	handshake  *os.File
	controlDir *os.File
}

// errByHand is what a person sees who starts the program in a shell.
type errByHand struct{ program string }

func (e errByHand) Error() string {
	return fmt.Sprintf("%s is a multisite app and does not run by itself: put app = %q under a [site.NAME] in sites.toml and run `multisite up`",
		e.program, e.program)
}

// inherit takes the descriptors. They and the variables that name them are ours
// alone: what the app starts must not have them.
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
	defer socket.Close() // FileListener has its own copy
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

// shakeHands writes the line that go-plugin's client waits for.
func (in *inherited) shakeHands(c *plugin.ReattachConfig) error {
	_, err := fmt.Fprintf(in.handshake, "%d|%d|%s|%s|%s|\n",
		plugin.CoreProtocolVersion, c.ProtocolVersion, c.Addr.Network(), c.Addr, c.Protocol)
	if err = errors.Join(err, in.handshake.Close(), in.controlDir.Close()); err != nil {
		return fmt.Errorf("shake hands with the supervisor: %w", err)
	}
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "PLUGIN_") {
			_ = os.Unsetenv(name) // go-plugin's, read by now
		}
	}
	return nil
}
