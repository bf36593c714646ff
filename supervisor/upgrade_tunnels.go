package supervisor

import (
	"math"
	"syscall"

	front "github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/tunnel"
	"github.com/multisite/multisite/worker/wire"
)

// tunnelHandover is a tunnel between two bytes.
type tunnelHandover struct {
	Site   string       `json:"site"`
	PID    int          `json:"pid"` // of the worker
	Client int          `json:"client"`
	Worker int          `json:"worker"` // the connection to it
	Up     tunnel.State `json:"up"`
	Down   tunnel.State `json:"down"`
	Entry  front.Entry  `json:"entry"`
}

// tunnels pauses and packs the tunnels. Those over TLS are cut: nobody else has their keys.
func (p packer) tunnels(s *Supervisor) (all []tunnelHandover, err error) {
	paused, resume := s.door.PauseTunnels()
	p.b.OnFailure(resume)
	for _, t := range paused {
		o := t.State()
		h := tunnelHandover{Site: o.Site.Name, PID: o.PID, Up: o.Up, Down: o.Down, Entry: o.Entry}
		if h.Client, err = p.b.Pack(o.Client.(syscall.Conn)); err != nil {
			return nil, err
		}
		if h.Worker, err = p.b.Pack(o.Worker.(syscall.Conn)); err != nil {
			return nil, err
		}
		all = append(all, h)
	}
	return all, nil
}

// tunnels lets the tunnels go on whose site is there.
func (in *Inheritance) tunnels(s *Supervisor) {
	for _, h := range in.Tunnels {
		client, err := in.baggage.Take(h.Client, "client")
		if err != nil {
			continue
		}
		worker, err := in.baggage.Take(h.Worker, "worker")
		t, findErr := s.sites.find(h.Site)
		if err != nil || findErr != nil {
			client.Close()
			worker.Close() // of a nil file, too: that only returns an error
			continue
		}
		t.tunnels.Enter(math.MaxInt) // whatever max_tunnels is now
		to := t.route().Site
		admission, _ := to.Admit(h.Entry.Client) // it was admitted before
		s.door.AdoptTunnel(tunnel.Options{
			Client: &wire.Switched{File: client}, Worker: &wire.Switched{File: worker}, Bare: true, Up: h.Up, Down: h.Down,
			Site: to, Entry: h.Entry, PID: h.PID, Admission: admission, Hold: t.holdAgain(h.PID),
		})
	}
}

// holdAgain returns the hold of a tunnel on a worker, which is cut if that is gone.
func (t *site) holdAgain(pid int) func(cut func()) (release func()) {
	return func(cut func()) func() {
		release, ok := t.pool.HoldAgain(pid, cut)
		if !ok {
			cut()
			return func() {}
		}
		return release
	}
}
