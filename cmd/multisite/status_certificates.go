package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

// firstToEnd returns which certificate of all sites ends first; "" if there is none.
func firstToEnd(sites []status.Site, now time.Time) string {
	var first *status.Certificate
	count := 0
	for _, site := range sites {
		for _, c := range site.Certificates {
			count += len(c.Names)
			if c.Until != nil && c.Source != "internal" && (first == nil || c.Until.Before(*first.Until)) {
				first = &c
			}
		}
	}
	if first == nil {
		return ""
	}
	return fmt.Sprintf("%d server names; first to end: %s, %s", count, first.Names[0], describeCertificate(*first, now))
}

// describeCertificate says where a certificate comes from, who has signed it and when it
// ends.
func describeCertificate(c status.Certificate, now time.Time) string {
	switch {
	case c.Until == nil && c.Source == "internal" && c.Failed == nil:
		return "internal, made when a client asks for a name"
	case c.Until == nil:
		return c.Source + ", there is none yet"
	case c.Until.Before(now):
		return fmt.Sprintf("%s, %s, expired at %s", c.Source, c.Issuer, clock(*c.Until, now))
	case c.DaysLeft == 1:
		return fmt.Sprintf("%s, %s, 1 day left", c.Source, c.Issuer)
	}
	return fmt.Sprintf("%s, %s, %d days left", c.Source, c.Issuer, c.DaysLeft)
}

// certificateFacts returns the certificates of a site, those together that look the same,
// in lines of a name and a text.
func certificateFacts(all []status.Certificate, now time.Time) (facts [][2]string) {
	var names, about []string
	for _, c := range all {
		name, text := strings.Join(c.Names, " "), describeCertificate(c, now)
		if i := slices.Index(about, text); i >= 0 {
			names[i] += " " + name
			continue
		}
		names, about = append(names, name), append(about, text)
	}
	for i := range names {
		facts = append(facts, [2]string{"certificate", names[i] + ": " + about[i]})
	}
	return facts
}

// certificateNote returns why there is no certificate, or no newer one; "" for nothing.
func certificateNote(c status.Certificate, now time.Time) string {
	if c.Failed == nil {
		return ""
	}
	have := "there is none"
	if c.Until != nil {
		have = "the old one serves on until " + c.Until.Local().Format("2006-01-02 15:04")
	}
	return fmt.Sprintf("certificate of %s at %s failed, %s: %s", strings.Join(c.Names, " "), clock(c.Failed.At, now), have, c.Failed.Error)
}
