package supervisor

import (
	"crypto/rand"
	"net"
	"os"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/gate"
	"github.com/multisite/multisite/supervisor/statedir"
)

func takeLock(stateDir string, in *Inheritance) (*statedir.Lock, error) {
	if in != nil {
		return in.lock()
	}
	return statedir.TakeLock(stateDir)
}

// listen takes the addresses of the front door, unless it was given listeners, and
// that of the dashboard.
func (s *Supervisor) listen() (err error) {
	switch {
	case s.inherited != nil:
		if s.listeners, err = s.inherited.listeners(); err != nil {
			return err
		}
	case !s.handed:
		for _, addr := range s.cfg.Listen {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				return err
			}
			s.listeners = append(s.listeners, l)
		}
	}
	if s.cfg.Dashboard == "" {
		return nil
	}
	l, err := s.listenForPage()
	if err != nil {
		return err
	}
	s.page, s.pageOf, s.pageToken = gate.New(l), s.cfg.Dashboard, rand.Text()
	if s.inherited != nil && s.inherited.PageToken != "" {
		s.pageToken = s.inherited.PageToken
	}
	return nil
}

func (s *Supervisor) listenForPage() (net.Listener, error) {
	if in := s.inherited; in != nil && in.Page >= 0 && in.PageOf == s.cfg.Dashboard {
		return in.listener(in.Page)
	}
	return net.Listen("tcp", s.cfg.Dashboard)
}

func (s *Supervisor) listenToCalls() (*gate.Gate, error) {
	var l net.Listener
	var err error
	if _, gone := os.Lstat(control.SocketPath(s.dirs.state)); s.inherited != nil && gone == nil {
		l, err = s.inherited.listener(s.inherited.Control)
	} else {
		l, err = control.Listen(s.dirs.state)
	}
	if err != nil {
		return nil, err
	}
	return gate.New(l), control.SetGroup(s.dirs.state, s.cfg.ControlGroup)
}
