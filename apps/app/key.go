package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// Key is the secret that all sites of one database share.
type Key []byte

// Sum returns a fingerprint of the parts that nobody can make, and from which
// nobody can guess the parts, without the key. Purpose keeps fingerprints
// made for one thing from being good for another.
func (k Key) Sum(purpose string, parts ...string) string {
	mac := hmac.New(sha256.New, k)
	for _, part := range append([]string{purpose}, parts...) {
		// Each part's own hash, so that moving a letter from one part to the
		// next makes another sum.
		hash := sha256.Sum256([]byte(part))
		mac.Write(hash[:])
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
