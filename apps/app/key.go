package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// Key is the secret key that all sites of one database share.
type Key []byte

// Sum returns a keyed fingerprint of the parts: without the key nobody can make it, or
// find the parts from it. A fingerprint for one purpose is not valid for another.
func (k Key) Sum(purpose string, parts ...string) string {
	mac := hmac.New(sha256.New, k)
	for _, part := range append([]string{purpose}, parts...) {
		// Each part is hashed by itself, so that "ab", "c" and "a", "bc" have
		// different sums.
		hash := sha256.Sum256([]byte(part))
		mac.Write(hash[:])
	}
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
