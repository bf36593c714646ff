package rules

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Users are those of an htpasswd file, with the bcrypt hashes of their passwords.
type Users struct {
	hashes map[string]string // by name
	stray  string            // is compared where there is no such user, so that the time does not tell
}

const (
	maxCost  = 14 // of bcrypt: a second of processor time
	maxUsers = 10_000
)

// ParseUsers reads an htpasswd file. Its errors name the line, and nothing that stands there.
func ParseUsers(text string) (*Users, error) {
	u := &Users{hashes: map[string]string{}}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, hash, ok := strings.Cut(line, ":")
		if !ok || !validUser(name) {
			return nil, fmt.Errorf("line %d is not NAME:HASH", n)
		}
		cost, err := bcrypt.Cost([]byte(hash))
		switch {
		case err != nil || len(hash) != 60:
			return nil, fmt.Errorf("line %d has no bcrypt hash", n)
		case cost > maxCost:
			return nil, fmt.Errorf("line %d has a bcrypt hash of cost %d, which is more than %d", n, cost, maxCost)
		case len(u.hashes) == maxUsers:
			return nil, fmt.Errorf("more than %d users", maxUsers)
		}
		u.hashes[name], u.stray = hash, hash
	}
	if len(u.hashes) == 0 {
		return nil, errors.New("no user is in it")
	}
	return u, nil
}

// validUser accepts names that can stand in logs and CGI variables.
func validUser(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// hashOf returns the hash of a user's password. Without such a user it is another's.
func (u *Users) hashOf(name string) (hash string, known bool) {
	if hash, known = u.hashes[name]; known {
		return hash, true
	}
	return u.stray, false
}
