package config

import (
	"cmp"
	"fmt"
	"net/url"
	"os"

	"github.com/multisite/multisite/apps/tomlfile"
)

// TLS says where the certificate of a site's names comes from.
type TLS struct {
	Mode TLSMode
	// Cert and Key are absolute paths of PEM files; "" unless Mode is TLSFiles.
	Cert, Key string
}

// TLSMode is a way to get a certificate.
type TLSMode string

// The ways to get a certificate.
const (
	TLSAuto     TLSMode = "auto"     // from a public authority, by ACME
	TLSInternal TLSMode = "internal" // from our own authority
	TLSOff      TLSMode = "off"      // none: the names of the site are not served with TLS
	TLSFiles    TLSMode = "files"    // from files of the user
)

// What becomes of requests without TLS.
const (
	HTTPSRedirect = "redirect" // they are redirected to TLS
	HTTPSBoth     = "both"     // they are answered
	HTTPSOff      = "off"      // they are answered, and the names are not served with TLS
)

// ACME says from whom certificates are requested.
type ACME struct {
	Email     string   // of the account; "": it has none
	Directory []string // URLs of authorities, in the order in which they are asked; none: Let's Encrypt
	CAFile    string   // absolute path of a PEM file: who signs for the authorities; "": as for all of the system
}

const tlsHint = `write "auto", "internal", "off" or { cert = "PATH", key = "PATH" }`

func (d *siteDraft) readTLS() {
	t := d.table
	if !t.Has("tls") {
		return
	}
	d.TLSPosition = t.Position("tls")
	if t.IsTable("tls") {
		d.readTLSFiles(t.Table("tls"))
		return
	}
	mode, ok := t.Value("tls").(string)
	switch {
	case !ok:
		t.WrongType("tls", "a string or a table { cert, key }")
	case mode == string(TLSAuto), mode == string(TLSInternal), mode == string(TLSOff):
		d.TLS = TLS{Mode: TLSMode(mode)}
	default:
		t.Problem("tls", fmt.Sprintf("%q is not a choice", mode), tlsHint)
	}
}

// tlsPosition returns where the key tls stands, or else the site.
func (d *siteDraft) tlsPosition() tomlfile.Position {
	return cmp.Or(d.TLSPosition, d.Position)
}

func (d *siteDraft) readTLSFiles(t *tomlfile.Table) {
	files := TLS{Mode: TLSFiles}
	cert, key := t.Path("cert", &files.Cert), t.Path("key", &files.Key)
	switch {
	case !t.Has("cert") || !t.Has("key"):
		d.table.Problem("tls", "must have both cert and key", `write { cert = "PATH", key = "PATH" }`)
	case cert && key:
		d.TLS = files
	}
}

func (d *siteDraft) readHTTPS() {
	if !d.table.String("https", &d.HTTPS) {
		return
	}
	switch d.HTTPS {
	case HTTPSRedirect, HTTPSBoth, HTTPSOff:
	default:
		d.table.Problem("https", fmt.Sprintf("%q is not a choice", d.HTTPS), `write "redirect", "both" or "off"`)
	}
}

// finishTLS sets where the certificate of a site comes from that does not say it.
func (l *loader) finishTLS(d *siteDraft) {
	switch {
	case d.HTTPS == HTTPSOff:
		d.TLS = TLS{Mode: TLSOff}
	case d.TLS.Mode != "":
	case len(l.config.ListenTLS) > 0:
		d.TLS.Mode = TLSAuto
	default:
		d.TLS.Mode = TLSOff
	}
}

func (l *loader) readACME(top *tomlfile.Table) {
	if !top.Has("acme") {
		return
	}
	if !top.IsTable("acme") {
		top.WrongType("acme", "a table { email, directory, ca_file }")
		return
	}
	t := top.Table("acme")
	t.String("email", &l.config.ACME.Email)
	items, _ := t.Items("directory")
	for _, item := range items {
		if u, err := url.Parse(item.Value); err != nil || u.Scheme != "https" || u.Host == "" {
			t.ProblemAt(item.Position, "directory", fmt.Sprintf("%q is not an https URL", item.Value), `write one such as "https://acme-staging-v02.api.letsencrypt.org/directory"`)
		}
		l.config.ACME.Directory = append(l.config.ACME.Directory, item.Value)
	}
	if t.Path("ca_file", &l.config.ACME.CAFile) {
		if _, err := os.Stat(l.config.ACME.CAFile); err != nil {
			t.Problem("ca_file", "no such file: "+l.config.ACME.CAFile, "")
		}
	}
}
