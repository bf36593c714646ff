package auth

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
)

// cost makes one guess take about a quarter of a second. It is bcrypt and not
// argon2id because argon2id's strength is memory: 19 MB for every login would
// stay with each worker, and small workers are what this project is about.
const cost = 12

// minLength is in characters, maxLength in bytes: bcrypt reads no more.
const (
	minLength = 10
	maxLength = 72
)

// nobody is the hash of a random password: checking it takes as long as
// checking a user's, so the time of an answer does not tell who exists.
const nobody = "$2a$12$Av927zddcaKL7YdRZFsqGuAqzvUDwJBgrQfCBm1xx.PR3XH0/Cv1S"

// CheckPassword says what is wrong with a new password.
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

// matches compares in a time that depends on neither argument.
func matches(hash, password string) bool {
	return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
}

func sameString(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
