package supervisor

import (
	"crypto/x509"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/certs"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/journal"
	"github.com/multisite/multisite/supervisor/status"
)

// setCertificates tells where the certificate of each site comes from that has one.
func (s *Supervisor) setCertificates() {
	var sites []certs.Site
	for _, t := range s.sites.all() {
		if c := t.config(); c.TLS.Mode != config.TLSOff {
			sites = append(sites, certs.Site{Name: c.Name, Hosts: hostsOf(c), Source: certs.Source(c.TLS.Mode), Cert: c.TLS.Cert, Key: c.TLS.Key})
		}
	}
	a := s.config().ACME
	from := certs.ACME{
		Email: a.Email, Directory: a.Directory, CAFile: a.CAFile,
		Plain: addressesOf(s.endpoints.front), TLS: addressesOf(s.endpoints.secure),
	}
	if s.certs.Set(sites, from) {
		s.certFiles.refresh()
	}
}

func addressesOf(listeners []net.Listener) (addrs []net.Addr) {
	for _, l := range listeners {
		addrs = append(addrs, l.Addr())
	}
	return addrs
}

// redirectPort returns the port where requests to a site that come without TLS are
// redirected to; 0: they are not.
func (s *Supervisor) redirectPort(c *config.Site) int {
	if c.TLS.Mode == config.TLSOff || c.HTTPS != config.HTTPSRedirect {
		return 0
	}
	for _, addr := range addressesOf(s.endpoints.secure) {
		if tcp, ok := addr.(*net.TCPAddr); ok {
			return tcp.Port
		}
	}
	return 0
}

// noteCertificate logs and records what became of a request for a certificate.
func (s *Supervisor) noteCertificate(e certs.Event) {
	record := journal.Event{Site: e.Site, Kind: e.Kind, Reason: e.Name}
	if e.Err != nil {
		record.Detail = e.Err.Error()
		s.log.Error(e.Kind, "site", e.Site, "name", e.Name, "error", e.Err)
	} else {
		s.log.Info(e.Kind, "site", e.Site, "name", e.Name)
	}
	s.journal.Record(record)
}

// certificateStatus returns the certificates of a site as status shows them.
func (s *Supervisor) certificateStatus(site string) []status.Certificate {
	all := []status.Certificate{} // [] in JSON, not null
	for _, st := range s.certs.States(site) {
		c := status.Certificate{Names: st.Hosts, Source: string(st.Source)}
		if st.Leaf != nil {
			until := st.Leaf.NotAfter.UTC()
			c.Issuer, c.Until, c.DaysLeft = issuerOf(st.Leaf), &until, int(time.Until(until).Hours()/24)
		}
		if st.Failed != nil {
			c.Failed = failureOf("certificate", st.Failed.Err)
			c.Failed.At = st.Failed.At.UTC()
		}
		all = append(all, c)
	}
	return all
}

// issuerOf returns who has signed a certificate: "Let's Encrypt, R11".
func issuerOf(c *x509.Certificate) string {
	names := slices.Concat(c.Issuer.Organization, []string{c.Issuer.CommonName})
	return strings.Join(slices.DeleteFunc(names, func(s string) bool { return s == "" }), ", ")
}
