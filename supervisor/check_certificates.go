package supervisor

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/certs"
	"github.com/multisite/multisite/supervisor/config"
)

// soon is before how long the end of a certificate is a reason for a warning.
const soon = 14 * 24 * time.Hour

// CheckCertificates returns what is wrong with the certificates that sites.toml names, and
// what works and was hardly intended.
func CheckCertificates(cfg *config.Config) (problems tomlfile.Problems, warnings []string) {
	for _, c := range cfg.Sites {
		switch c.TLS.Mode {
		case config.TLSFiles:
			for _, message := range certs.CheckFiles(c.TLS.Cert, c.TLS.Key, hostsOf(c), time.Now()) {
				problems = append(problems, tomlfile.Problem{Position: c.TLSPosition, Key: "site." + c.Name + ".tls", Message: message})
			}
			warnings = append(warnings, warnOfFiles(c)...)
		case config.TLSAuto:
			for _, host := range hostsOf(c) {
				if why := certs.ForbidsACME(host); why != "" {
					warnings = append(warnings, fmt.Sprintf("site %s: tls: no public authority gives a certificate for %s, %s: it gets one of the internal authority (multisite trust)", c.Name, host, why))
				}
			}
		}
	}
	return problems, warnings
}

// warnOfFiles returns warnings about a certificate in files.
func warnOfFiles(c *config.Site) (warnings []string) {
	warn := func(format string, args ...any) {
		warnings = append(warnings, fmt.Sprintf("site %s: tls: ", c.Name)+fmt.Sprintf(format, args...))
	}
	if info, err := os.Stat(c.TLS.Key); err == nil && info.Mode().Perm()&0o004 != 0 {
		warn("everybody may read the key %s: chmod o-r %[1]s", c.TLS.Key)
	}
	leaf, err := certs.ReadLeaf(c.TLS.Cert, c.TLS.Key)
	if err != nil {
		return warnings
	}
	if left := time.Until(leaf.NotAfter); left > 0 && left < soon {
		warn("%s expires in %d days", c.TLS.Cert, int(left.Hours()/24))
	}
	if slices.ContainsFunc(leaf.Extensions, certs.IsMustStaple) {
		warn("%s asks for stapled OCSP answers, which are not sent for certificates from files: browsers may refuse it", c.TLS.Cert)
	}
	return warnings
}
