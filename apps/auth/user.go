package auth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/multisite/multisite/apps/db"
)

// ErrNoUser is returned when there is no such user.
var ErrNoUser = errors.New("no such user")

// User is one account.
type User struct {
	ID        int64
	Name      string
	Email     string
	Active    bool
	Staff     bool
	Superuser bool
	hash      string // of the password
}

// ByName returns the user of this name, in upper or lower case, or ErrNoUser.
func ByName(ctx context.Context, from db.Queryer, name string) (User, error) {
	return find(ctx, from, "username = ?", name)
}

// ByID returns the user with this ID, or ErrNoUser.
func ByID(ctx context.Context, from db.Queryer, id int64) (User, error) {
	return find(ctx, from, "id = ?", id)
}

func find(ctx context.Context, from db.Queryer, where string, arg any) (User, error) {
	var u User
	err := from.QueryRowContext(ctx,
		"SELECT id, username, email, is_active, is_staff, is_superuser, password FROM auth_user WHERE "+where, arg).
		Scan(&u.ID, &u.Name, &u.Email, &u.Active, &u.Staff, &u.Superuser, &u.hash)
	if errors.Is(err, sql.ErrNoRows) {
		return u, ErrNoUser
	}
	if err != nil {
		return u, fmt.Errorf("find user: %w", err)
	}
	return u, nil
}

// HasSuperuser reports whether there is an active superuser.
func HasSuperuser(ctx context.Context, from db.Queryer) (bool, error) {
	var has bool
	err := from.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM auth_user WHERE is_superuser AND is_active)").Scan(&has)
	if err != nil {
		return false, fmt.Errorf("look for a superuser: %w", err)
	}
	return has, nil
}

// CreateSuperuser adds a superuser.
func CreateSuperuser(ctx context.Context, d *db.DB, name, email, password string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	hash, err := hashPassword(name, password)
	if err != nil {
		return err
	}
	_, err = d.ExecContext(ctx,
		"INSERT INTO auth_user (username, email, password, is_staff, is_superuser) VALUES (?, ?, ?, 1, 1)", name, email, hash)
	if len(db.Unique(err)) > 0 {
		return fmt.Errorf("there is a user %q already", name)
	}
	if err != nil {
		return fmt.Errorf("create user: %w", err)
	}
	return nil
}

// SetPassword changes the password of a user, which ends the user's sessions. It returns
// the user with the new password.
func SetPassword(ctx context.Context, d *db.DB, user User, password string) (User, error) {
	hash, err := hashPassword(user.Name, password)
	if err != nil {
		return user, err
	}
	_, err = d.ExecContext(ctx, "UPDATE auth_user SET password = ?, version = version + 1 WHERE id = ?", hash, user.ID)
	if err != nil {
		return user, fmt.Errorf("set password: %w", err)
	}
	user.hash = hash
	return user, nil
}

// CheckName returns what is wrong with a user name.
func CheckName(name string) error {
	bad := func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("@.+-_", c)
	}
	if name == "" || len(name) > 150 || strings.ContainsFunc(name, bad) {
		return errors.New("a user name has letters, digits and @ . + - _ only, and at most 150 of them")
	}
	return nil
}
