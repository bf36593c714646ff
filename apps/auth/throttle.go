package auth

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/multisite/multisite/apps/db"
)

// window is how long a failed login counts.
const window = 15 * time.Minute

// The numbers of failures within the window after which logins are refused: of one name
// from one address, of all names from one address, and of one name from anywhere. The last
// is high, because otherwise anybody could lock a user out.
const (
	perPair    = 5
	perAddress = 30
	perName    = 100
)

// attempt counts a login as failed before its password is checked: otherwise guesses that
// arrive at many workers at once could exceed the limit. If there were too many, it
// returns how long the client must wait.
func attempt(ctx context.Context, d *db.DB, name, address string) (wait time.Duration, err error) {
	now := db.Now()
	err = d.Write(ctx, func(tx *sql.Tx) error {
		since := db.Time{Time: now.Add(-window)}
		if _, err := tx.ExecContext(ctx, "DELETE FROM auth_attempt WHERE at <= ?", since); err != nil {
			return err
		}
		var pair, byAddress, byName int
		var oldest db.Time
		err := tx.QueryRowContext(ctx, `SELECT
				count(*) FILTER (WHERE address = ?1 AND username = ?2),
				count(*) FILTER (WHERE address = ?1),
				count(*) FILTER (WHERE username = ?2),
				min(at)
			FROM auth_attempt WHERE address = ?1 OR username = ?2`, address, name).
			Scan(&pair, &byAddress, &byName, &oldest)
		if err != nil {
			return err
		}
		if pair >= perPair || byAddress >= perAddress || byName >= perName {
			wait = max(oldest.Add(window).Sub(now.Time), time.Second)
			return nil
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO auth_attempt (at, username, address) VALUES (?, ?, ?)", now, name, address)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("count login attempts: %w", err)
	}
	return wait, nil
}

// loginSucceeded deletes the failures of this name from this address and records the
// time of the login.
func loginSucceeded(ctx context.Context, d *db.DB, user User, address string) error {
	return d.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM auth_attempt WHERE username = ? AND address = ?", user.Name, address)
		if err != nil {
			return fmt.Errorf("forget login attempts: %w", err)
		}
		_, err = tx.ExecContext(ctx, "UPDATE auth_user SET last_login_at = ? WHERE id = ?", db.Now(), user.ID)
		if err != nil {
			return fmt.Errorf("note login: %w", err)
		}
		return nil
	})
}
