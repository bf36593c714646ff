package certs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
	"time"
)

// ReadLeaf reads a certificate from files as the front door does.
func ReadLeaf(cert, key string) (*x509.Certificate, error) {
	pair, err := files{cert, key}.read()
	if err != nil {
		return nil, err
	}
	return pair.Leaf, nil
}

// CheckFiles returns what is wrong with a certificate in files, for a site with these
// normalized hosts.
func CheckFiles(cert, key string, hosts []string, now time.Time) (problems []string) {
	leaf, err := ReadLeaf(cert, key)
	if err != nil {
		return []string{err.Error()}
	}
	const day = "2006-01-02"
	if now.After(leaf.NotAfter) {
		problems = append(problems, fmt.Sprintf("%s has expired on %s", cert, leaf.NotAfter.Format(day)))
	}
	if now.Before(leaf.NotBefore) {
		problems = append(problems, fmt.Sprintf("%s is not valid before %s", cert, leaf.NotBefore.Format(day)))
	}
	var missing []string
	for _, host := range hosts {
		if leaf.VerifyHostname(host) != nil {
			missing = append(missing, host)
		}
	}
	if len(missing) > 0 {
		problems = append(problems, fmt.Sprintf("%s is not for %s, but for %s", cert, strings.Join(missing, ", "), namesOf(leaf)))
	}
	return problems
}

func namesOf(c *x509.Certificate) string {
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name"
	}
	return strings.Join(names, ", ")
}

// tlsFeature is the extension by which a certificate asks for stapled answers (RFC 7633).
var tlsFeature = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}

// IsMustStaple reports whether an extension of a certificate asks for stapled OCSP answers.
func IsMustStaple(e pkix.Extension) bool { return e.Id.Equal(tlsFeature) }
