package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// maintenanceTable has the sites that are closed for maintenance. It came later than the
// schema, as warmupTable did.
const maintenanceTable = `CREATE TABLE IF NOT EXISTS maintenance (
	site TEXT PRIMARY KEY,
	how  TEXT NOT NULL
)`

// SetMaintenance records how a site is closed, in the caller's words; "": it is open.
func (j *Journal) SetMaintenance(ctx context.Context, site, how string) (err error) {
	if how == "" {
		_, err = j.db.ExecContext(ctx, "DELETE FROM maintenance WHERE site = ?", site)
	} else {
		_, err = j.db.ExecContext(ctx, "INSERT INTO maintenance (site, how) VALUES (?, ?) ON CONFLICT (site) DO UPDATE SET how = excluded.how", site, how)
	}
	if err != nil {
		return fmt.Errorf("remember the maintenance of site %s: %w", site, err)
	}
	return nil
}

// Maintenance returns how a site is closed; "": it is open.
func (j *Journal) Maintenance(ctx context.Context, site string) (how string, err error) {
	err = j.db.QueryRowContext(ctx, "SELECT how FROM maintenance WHERE site = ?", site).Scan(&how)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("recall the maintenance of site %s: %w", site, err)
	}
	return how, nil
}
