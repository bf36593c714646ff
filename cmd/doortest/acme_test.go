package doortest

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestACME_TenSites: ten sites get a certificate each, with one request each, and none is
// requested for a name that a client makes up.
func TestACME_TenSites(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	a := newAuthority(t, d.plain, d.secure, 90*24*time.Hour)
	var sites []string
	for i := range 10 {
		sites = append(sites, fmt.Sprintf("site%d", i))
	}
	d.write(a, "admin@example.com", sites...)
	d.up()
	for _, site := range sites {
		d.eventually("a certificate of "+site, func() bool { return d.certificate(site).Until != nil })
		cert, err := d.shown(a, site+".example.com")
		if err != nil {
			t.Errorf("%s: %v", site, err)
		} else if len(cert.DNSNames) != 1 || cert.DNSNames[0] != site+".example.com" {
			t.Errorf("%s has a certificate for %q", site, cert.DNSNames)
		}
		if c := d.certificate(site); c.Source != "auto" || !strings.Contains(c.Issuer, "Pebble") || c.DaysLeft < 88 || c.Failed != nil {
			t.Errorf("%s: status says %+v", site, c)
		}
	}
	for i := range 20 {
		if _, err := d.shown(a, fmt.Sprintf("stranger%d.example.com", i)); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("a stranger's name: got %v", err)
		}
	}
	if got := a.orders.Load(); got != 10 {
		t.Errorf("%d certificates were requested", got)
	}
	for _, again := range []func(){func() { d.must("upgrade") }, func() { d.down(); d.up() }} {
		again()
		for _, site := range sites {
			d.eventually("the certificate of "+site, func() bool { _, err := d.shown(a, site+".example.com"); return err == nil })
		}
	}
	if got := a.orders.Load(); got != 10 {
		t.Errorf("%d certificates were requested with an upgrade and a new start", got)
	}
	d.down()
}

// TestACME_SecondAuthority: the authorities are asked in their order until one answers.
func TestACME_SecondAuthority(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	first, second := newAuthority(t, d.plain, d.secure, 90*24*time.Hour), newAuthority(t, d.plain, d.secure, 90*24*time.Hour)
	first.away.Store(true)
	d.write(first, "admin@example.com", "one")
	d.rewrite(fmt.Sprintf("directory = %q", first.directory), fmt.Sprintf("directory = [%q, %q]", first.directory, second.directory))
	d.up()
	defer d.down()
	d.eventually("a certificate of the second", func() bool { _, err := d.shown(second, "one.example.com"); return err == nil })
	if first.asked.Load() == 0 || second.orders.Load() != 1 {
		t.Errorf("the first was asked %d times, the second for %d certificates", first.asked.Load(), second.orders.Load())
	}
}

// TestACME_AwayAtStart: without its authority a site is served without TLS, and is not asked
// for again and again. It gets its certificate when the authority is back.
func TestACME_AwayAtStart(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	a := newAuthority(t, d.plain, d.secure, 90*24*time.Hour)
	a.away.Store(true)
	d.write(a, "admin@example.com", "one", "two")
	d.up()
	defer d.down()
	for _, site := range []string{"one", "two"} {
		d.eventually("status to say what has failed", func() bool { return d.certificate(site).Failed != nil })
	}
	if c := d.certificate("one"); c.Until != nil || !strings.Contains(c.Failed.Error, "503") {
		t.Errorf("status says %+v, %+v", c, c.Failed)
	}
	if got := d.get("one.example.com", "/"); got != http.StatusOK {
		t.Errorf("without TLS: got %d", got)
	}
	if _, err := d.shown(a, "one.example.com"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("with TLS: got %v", err)
	}
	tried := a.asked.Load()
	a.away.Store(false)
	d.write(a, "other@example.com", "one", "two")
	d.must("reload") // the next try by itself is a minute after the first
	for _, site := range []string{"one", "two"} {
		d.eventually("a certificate of "+site, func() bool { _, err := d.shown(a, site+".example.com"); return err == nil })
		d.eventually("status without a failure", func() bool { return d.certificate(site).Failed == nil })
	}
	if got := d.get("one.example.com", "/"); got != http.StatusPermanentRedirect {
		t.Errorf("without TLS: got %d, want a redirect", got)
	}
	if tried > 20 {
		t.Errorf("the authority was asked %d times while it was away", tried)
	}
}

// TestACME_Renewal: a certificate that ends soon is renewed, and serves on if the authority
// is away.
func TestACME_Renewal(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	a := newAuthority(t, d.plain, d.secure, 20*time.Minute) // so short that each start renews it
	d.write(a, "admin@example.com", "one")
	d.up()
	d.eventually("a certificate", func() bool { _, err := d.shown(a, "one.example.com"); return err == nil })
	d.down()
	a.away.Store(true)
	d.up()
	d.eventually("status to say what has failed", func() bool { return d.certificate("one").Failed != nil })
	first, err := d.shown(a, "one.example.com")
	if err != nil {
		t.Fatalf("the old certificate: %v", err)
	}
	if c := d.certificate("one"); c.Until == nil || !c.Until.Equal(first.NotAfter) {
		t.Errorf("status says %+v", c)
	}
	if text, want := d.must("status", "one"), "failed, the old one serves on until "+first.NotAfter.Local().Format("2006-01-02 15:04"); !strings.Contains(text, want) {
		t.Errorf("status has no %q:\n%s", want, text)
	}
	d.down()
	a.away.Store(false)
	d.up()
	defer d.down()
	d.eventually("a renewed certificate", func() bool {
		now, err := d.shown(a, "one.example.com")
		return err == nil && !now.Equal(first)
	})
	log, err := os.ReadFile(filepath.Join(d.dir, ".multisite", "logs", "multisite.log"))
	for _, want := range []string{"certificate issued", "certificate failed", "certificate renewed"} {
		if !strings.Contains(string(log), want) {
			t.Errorf("the log has no %q (%v):\n%s", want, err, log)
		}
	}
}
