package config

import (
	"cmp"
	"fmt"

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
	TLSOff   TLSMode = "off"   // none: the names of the site are not served with TLS
	TLSFiles TLSMode = "files" // from files of the user
)

const tlsHint = `write "off" or { cert = "PATH", key = "PATH" }`

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
	var mode string
	if !t.String("tls", &mode) {
		return
	}
	switch TLSMode(mode) {
	case TLSOff:
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
