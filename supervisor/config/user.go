package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/worker/account"
)

// identity is the keys that say who a site runs as.
type identity struct {
	user, group *said
	others      []tomlfile.Item // supplementary_groups
	hasOthers   bool            // said, be it none
}

var localeName = regexp.MustCompile(`^[A-Za-z0-9_.@-]+$`)

// readIdentity reads who a site runs as, and what its processes begin with. The
// groups of one user are not another's: a table that names a user drops inherited
// ones.
func (d *draft) readIdentity() {
	t := d.table
	if user := say(t, "user"); user != nil {
		d.identity = identity{user: user}
	}
	if group := say(t, "group"); group != nil {
		d.identity.group = group
	}
	if items, ok := t.Items("supplementary_groups"); ok {
		d.identity.others, d.identity.hasOthers = items, true
	}
	d.readUmask()
	for _, locale := range []struct {
		name string
		to   *string
	}{{"lang", &d.Lang}, {"locale", &d.Locale}} {
		if t.String(locale.name, locale.to) && !localeName.MatchString(*locale.to) {
			t.Problem(locale.name, fmt.Sprintf("%q is not a locale", *locale.to), `write one such as "C.UTF-8" or "de_CH.UTF-8"`)
		}
	}
}

func (d *draft) readUmask() {
	t := d.table
	const hint = `write the octal digits in quotes: "022"`
	switch v := t.Value("umask").(type) {
	case nil:
	case string:
		n, err := strconv.ParseUint(v, 8, 32)
		if err != nil || n > 0o777 {
			t.Problem("umask", fmt.Sprintf("%q is not a umask", v), hint)
		}
		umask := int(n)
		d.Umask = &umask
	default:
		t.WrongType("umask", "a string")
	}
}

// finishIdentity finds the user and the groups, and checks that multisite can act
// for them and that they may read what they will run.
func (l *loader) finishIdentity(d *draft) {
	who := d.identity
	if who.user == nil {
		if who.group != nil || who.hasOthers {
			d.table.Problem("user", "missing: the groups of which user?", "write user beside group and supplementary_groups")
		}
		if d.TasksLimit > 0 {
			d.table.Problem("tasks_limit", "needs user: the kernel counts the processes of a user", "give the site a user of its own")
		}
		return
	}
	a, ok := who.find(d)
	if !ok {
		return
	}
	if os.Geteuid() != 0 {
		if !isUs(a, who) {
			d.table.Problem("user", fmt.Sprintf("user %q needs multisite to run as root", who.user.value), "start it as root, or as that user; or leave user out")
		}
		return
	}
	d.Account = a
	l.checkReach(d)
}

// isUs tells whether everything runs as a already.
func isUs(a *account.Account, who identity) bool {
	return a.UID == os.Geteuid() && (who.group == nil || a.GID == os.Getegid()) && !who.hasOthers
}

func (who identity) find(d *draft) (a *account.Account, ok bool) {
	a, err := account.Find(who.user.value)
	switch {
	case errors.Is(err, account.ErrRoot):
		d.table.Problem("user", err.Error(), "name a user of its own; a site without user runs as whoever starts multisite")
		return nil, false
	case err != nil:
		d.table.Problem("user", err.Error(), "")
		return nil, false
	case who.group == nil && !a.HasGroup():
		d.table.Problem("group", fmt.Sprintf("missing: user %s has no entry in the user database, and so no group", a.Name), "")
		return nil, false
	}
	ok = true
	if who.group != nil {
		if a.GID, err = account.FindGroup(who.group.value); err != nil {
			d.table.Problem("group", err.Error(), "")
			ok = false
		}
	}
	if !who.hasOthers {
		return a, ok
	}
	a.Groups = nil
	for _, item := range who.others {
		gid, err := account.FindGroup(item.Value)
		if err != nil {
			d.table.ProblemAt(item.Position, "supplementary_groups", err.Error(), "")
			ok = false
		}
		a.Groups = append(a.Groups, gid)
	}
	slices.Sort(a.Groups)
	return a, ok
}

// checkReach reports what the site's user may not read or enter, and why.
func (l *loader) checkReach(d *draft) {
	for _, need := range []struct {
		key, path string
		want      account.Access
	}{
		{"home", d.Home, account.Run}, {"python_home", d.Python, account.Run}, {"app", d.App, account.Run},
		{"wsgi", d.WSGI, account.Read}, {"settings", d.Settings, account.Read},
	} {
		if !filepath.IsAbs(need.path) { // a module, or nothing
			continue
		}
		if err := d.Account.May(need.want, need.path); err != nil {
			d.table.Problem(need.key, err.Error(), "")
		}
	}
	for _, prefix := range slices.Sorted(maps.Keys(d.Static)) {
		if err := d.Account.May(account.Run, d.Static[prefix]); err != nil {
			d.table.Problem("static", err.Error(), "the front door reads a site's files as the site's user")
		}
	}
	switch {
	case d.entry.settings.isBuiltin():
		d.table.Problem("user", "a builtin site keeps its database in state_dir, where only multisite itself may write",
			"give it a settings file, whose database can be the user's")
	case d.Kind == WSGI:
		if err := d.Account.May(account.Run, l.config.StateDir); err != nil {
			d.table.Problem("user", err.Error()+", and needs what is in state_dir", `put it elsewhere: state_dir = "/var/lib/multisite"`)
		}
	}
}
