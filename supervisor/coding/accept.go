// Package coding has the content codings of the front door: which of them a client
// accepts, for which types of content they pay, and what encodes. It also says which
// answers of an application may be encoded, and what becomes of their header.
//
// What is compressed in one answer with a secret and with text that an attacker chooses
// can give the secret away by its length (BREACH). So answers of applications are encoded
// only for sites that ask for it; files have no secrets of a visitor.
//
// klauspost/compress saves a zstd of our own, which the standard library lacks, and half of
// the processor time of its gzip.
package coding

import "strings"

// Coding is a content coding. The better of two has the greater number.
type Coding int

// The codings. Brotli is sent where a file has it already: nothing here encodes it.
const (
	Identity Coding = iota
	Gzip
	Zstd
	Brotli
	codings
)

var names = [codings]string{"identity", "gzip", "zstd", "br"}

// String returns the name in Content-Encoding.
func (c Coding) String() string { return names[c] }

// Extension returns the ending of files that are encoded.
func (c Coding) Extension() string { return [codings]string{"", ".gz", ".zst", ".br"}[c] }

// Accepted is what an Accept-Encoding header says. Its zero value is that of none.
type Accepted struct {
	quality [codings]int // in thousandths; that of Identity only if the header names it
}

// Parse reads the value of Accept-Encoding. What it does not understand it leaves out.
func Parse(header string) (a Accepted) {
	var listed [codings]bool
	star := -1
	for header != "" {
		var part string
		part, header, _ = strings.Cut(header, ",")
		name, params, _ := strings.Cut(part, ";")
		name = strings.Trim(name, " \t")
		q := quality(params)
		if name == "*" {
			star = q
			continue
		}
		if len(name) == len("x-gzip") && strings.EqualFold(name, "x-gzip") {
			name = "gzip"
		}
		for c, known := range names {
			if len(name) == len(known) && strings.EqualFold(name, known) {
				a.quality[c], listed[c] = q, true
			}
		}
	}
	for c := range a.quality {
		if !listed[c] && star >= 0 && Coding(c) != Identity {
			a.quality[c] = star
		}
	}
	return a
}

// quality returns the q of a coding's parameters, in thousandths; 0 if it is malformed.
func quality(params string) int {
	name, value, found := strings.Cut(strings.Trim(params, " \t"), "=")
	if !found {
		return 1000
	}
	whole, rest, _ := strings.Cut(strings.Trim(value, " \t"), ".")
	if !strings.EqualFold(strings.Trim(name, " \t"), "q") || len(rest) > 3 || strings.Trim(rest, "0123456789") != "" {
		return 0
	}
	q := 0
	for _, digit := range (rest + "000")[:3] {
		q = 10*q + int(digit-'0')
	}
	switch {
	case whole == "1" && q == 0:
		return 1000
	case whole == "0" || whole == "" && rest != "":
		return q
	}
	return 0
}

// Best returns the coding that the client wants most of those that there are beside
// identity. It returns Identity if the client accepts none of them: a client that refuses
// that, too, gets what there is, as the standard allows.
func (a Accepted) Best(have ...Coding) Coding {
	best, most := Identity, 0
	for _, c := range have {
		if q := a.quality[c]; q > most || q == most && q > 0 && c > best {
			best, most = c, q
		}
	}
	if a.quality[Identity] > most {
		return Identity
	}
	return best
}
