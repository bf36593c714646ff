package apps

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/auth"
	"github.com/multisite/multisite/apps/db"
	"github.com/multisite/multisite/apps/settings"
	"github.com/multisite/multisite/apps/sites"
)

// Options are what the program that runs a site gives to it.
type Options struct {
	// StateDir is the directory of the database and secret key of builtin settings. ""
	// is the current directory.
	StateDir string
	// Hosts are allowed besides those in the settings; ".example.com" also matches all
	// names below it.
	Hosts []string
	Log   *slog.Logger // nil discards every record
}

func (o Options) withDefaults() Options {
	if o.StateDir == "" {
		o.StateDir = "."
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Site is one Go site that can answer requests.
type Site struct {
	handler http.Handler
	db      *db.DB
}

// Open reads a settings file, or "builtin:subdomain1" or "builtin:subdomain2", opens the
// database, applies missing migrations and builds the site's handler. It makes the
// database and the secret key if they are missing.
func Open(ctx context.Context, settingsPath string, opts Options) (*Site, error) {
	opts = opts.withDefaults()
	s, installed, err := load(settingsPath, opts)
	if err != nil {
		return nil, err
	}
	key, err := settings.Secret(s.SecretKeyFile)
	if err != nil {
		return nil, err
	}
	d, err := openDatabase(ctx, s, installed, opts.Log)
	if err != nil {
		return nil, err
	}
	env := &app.Env{
		SiteID: s.SiteID, DB: d, Log: opts.Log, Key: key, Zone: s.Zone, Installed: installed,
		Paths: map[string]string{}, Domain: s.Domain(),
	}
	for path, name := range s.URLs {
		env.Paths[name] = path
	}
	handler, err := newHandler(ctx, env, s)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return &Site{handler: handler, db: d}, nil
}

// ServeHTTP answers a request that came through the front door.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Close closes the database. It must be called after the last request.
func (s *Site) Close() error { return s.db.Close() }

// HasSuperuser reports whether the site's admin has an active superuser. It makes the
// database if it is missing.
func HasSuperuser(ctx context.Context, settingsPath string, opts Options) (bool, error) {
	opts = opts.withDefaults()
	s, installed, err := load(settingsPath, opts)
	if err != nil {
		return false, err
	}
	d, err := openDatabase(ctx, s, installed, opts.Log)
	if err != nil {
		return false, err
	}
	has, err := auth.HasSuperuser(ctx, d)
	return has, errors.Join(err, d.Close())
}

// openDatabase opens the database and applies missing migrations.
func openDatabase(ctx context.Context, s settings.Settings, installed []app.App, log *slog.Logger) (*db.DB, error) {
	d, err := db.Open(ctx, s.Database)
	if err != nil {
		return nil, err
	}
	applied, err := bringUpToDate(ctx, d, s, installed)
	if len(applied) > 0 {
		log.Info("database migrated", "database", s.Database, "applied", applied)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// bringUpToDate applies missing migrations, and adds the row of the site if it is missing.
// It returns the names of the migrations.
func bringUpToDate(ctx context.Context, d *db.DB, s settings.Settings, installed []app.App) ([]string, error) {
	applied, err := d.Migrate(ctx, migrations(installed))
	if err != nil {
		return nil, fmt.Errorf("migrate %s: %w", s.Database, err)
	}
	return applied, sites.Ensure(ctx, d, s.SiteID, s.Domain())
}

func migrations(installed []app.App) []db.Migrations {
	var all []db.Migrations
	for _, a := range installed {
		all = append(all, db.Migrations{App: a.Name, Files: a.Migrations})
	}
	return all
}
