package auth

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
)

// cost makes one guess take about a quarter of a second. argon2id would need 19 MB for
// each login, which every worker would keep, and workers are to stay small.
const cost = 12

// minLength is in characters, maxLength in bytes: bcrypt does not read more.
const (
	minLength = 10
	maxLength = 72
)

// unknownUserHash is the hash of a random password. It is checked if there is no such
// user, so that the time of the answer does not show which users exist.
const unknownUserHash = "$2a$12$Av927zddcaKL7YdRZFsqGuAqzvUDwJBgrQfCBm1xx.PR3XH0/Cv1S"

// CheckPassword returns what is wrong with a new password.
func CheckPassword(name, password string) error {
	switch {
	case utf8.RuneCountInString(password) < minLength:
		return fmt.Errorf("a password has at least %d characters", minLength)
	case len(password) > maxLength:
		return fmt.Errorf("a password has at most %d bytes", maxLength)
	case strings.Count(password, password[:1]) == len(password):
		return errors.New("a password is more than one character repeated")
	case name != "" && strings.Contains(strings.ToLower(password), strings.ToLower(name)):
		return errors.New("a password does not contain the user name")
	}
	return nil
}

func hashPassword(name, password string) (string, error) {
	if err := CheckPassword(name, password); err != nil {
		return "", err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return string(hash), nil
}

// matches reports whether the hash is that of password, in constant time.
func matches(hash, password string) bool {
	return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
}

func sameString(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
