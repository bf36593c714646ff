package supervisor

import (
	"net"

	"github.com/multisite/multisite/supervisor/proxy"
)

// localLinks returns the sites, for those who ask a listener on a loopback address for
// localhost. A listener on all addresses is none.
func (s *Supervisor) localLinks(at net.Addr) (links []proxy.Link) {
	if !s.listensLocallyOn(at.String()) {
		return nil
	}
	for _, t := range s.sites.all() {
		links = append(links, proxy.Link{Name: t.name, URL: t.config().URL([]string{at.String()}, addrsOf(s.endpoints.secure))})
	}
	return links
}

func (s *Supervisor) listensLocallyOn(addr string) bool {
	for _, l := range s.endpoints.front {
		tcp, ok := l.Addr().(*net.TCPAddr)
		if ok && tcp.IP.IsLoopback() && tcp.String() == addr {
			return true
		}
	}
	return false
}
