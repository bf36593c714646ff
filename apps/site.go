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

// Options are what a site needs from whoever runs it.
type Options struct {
	// StateDir is where builtin settings keep their database and secret key.
	// Empty is the current directory.
	StateDir string
	// Hosts are allowed beside those that the settings allow: ".example.com" is it
	// and all below it.
	Hosts []string
	Log   *slog.Logger // nil logs nothing
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

// Site is one Go site, ready to answer requests.
type Site struct {
	handler http.Handler
	db      *db.DB
}

// Open reads a settings file, "builtin:subdomain1" or "builtin:subdomain2",
// opens the database, brings it up to date, and builds the site's handler.
// What is missing, database and secret key, it makes.
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

// Close closes the database. No request may be running.
func (s *Site) Close() error { return s.db.Close() }

// HasSuperuser reports whether anybody can log in to the site's admin. It
// makes the database when there is none.
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

// openDatabase opens the database and applies the migrations it lacks.
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

// bringUpToDate applies the migrations that a database lacks and makes sure
// that it knows the site. It returns what it applied.
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
