package sessions

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/db"
)

// store keeps sessions in the shared database. It implements scs.CtxStore. A row has a
// fingerprint of its token, so that a stolen copy of the database is no login, and the site
// that it belongs to, so that a cookie of one site is not valid on another.
type store struct {
	db   *db.DB
	key  app.Key
	site int64
}

func (s store) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	var data []byte
	err := s.db.QueryRowContext(ctx,
		"SELECT data FROM sessions_session WHERE token = ? AND site_id = ? AND expires_at > ?",
		s.fingerprint(token), s.site, db.Now()).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("find session: %w", err)
	}
	return data, true, nil
}

func (s store) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM sessions_session WHERE expires_at <= ?", db.Now())
		if err != nil {
			return fmt.Errorf("delete old sessions: %w", err)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO sessions_session (token, site_id, data, expires_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (token) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at`,
			s.fingerprint(token), s.site, data, db.Time{Time: expiry})
		if err != nil {
			return fmt.Errorf("save session: %w", err)
		}
		return nil
	})
}

func (s store) DeleteCtx(ctx context.Context, token string) error {
	_, err := s.db.ExecContext(ctx, "DELETE FROM sessions_session WHERE token = ?", s.fingerprint(token))
	if err != nil {
		return fmt.Errorf("delete session: %w", err)
	}
	return nil
}

func (s store) fingerprint(token string) string { return s.key.Sum("session", token) }

// scs does not call the methods without a context: it prefers those above.

func (s store) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

func (s store) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

func (s store) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }
