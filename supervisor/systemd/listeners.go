package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/coreos/go-systemd/v22/activation"
)

// Listeners returns the sockets that systemd passed to this process, in the order of the
// unit. It removes the variables that describe them from the environment.
func Listeners() ([]net.Listener, error) {
	var listeners []net.Listener
	var errs []error
	for _, f := range activation.Files(true) {
		l, err := listener(f)
		if err != nil {
			errs = append(errs, fmt.Errorf("socket activation: %s: %w", f.Name(), err))
			continue
		}
		listeners = append(listeners, l)
	}
	if len(errs) > 0 {
		for _, l := range listeners {
			l.Close()
		}
		return nil, errors.Join(errs...)
	}
	return listeners, nil
}

func listener(f *os.File) (net.Listener, error) {
	defer f.Close() // the listener has its own descriptor
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("not a socket to listen on: %w", err)
	}
	if network := l.Addr().Network(); network != "tcp" {
		l.Close()
		return nil, fmt.Errorf("a %s socket, not TCP: write a port or an address as ListenStream=", network)
	}
	return l, nil
}
