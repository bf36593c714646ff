package apps

import (
	"github.com/multisite/multisite/apps/admin"
	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/auth"
	"github.com/multisite/multisite/apps/blog"
	"github.com/multisite/multisite/apps/messages"
	"github.com/multisite/multisite/apps/polls"
	"github.com/multisite/multisite/apps/sessions"
	"github.com/multisite/multisite/apps/sites"
)

// all returns every app that a settings file may install. A new app is one line here. An
// app comes after those that it needs: their tables are made first, and their Wrap sees a
// request first.
func all() []app.App {
	return []app.App{
		sessions.App(),
		messages.App(),
		auth.App(),
		sites.App(),
		admin.App(),
		blog.App(),
		polls.App(),
	}
}
