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
	"strings"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/worker/account"
)

// identity is what the keys say of the account that a site runs as.
type identity struct {
	user, group *rawValue       // nil: not in sites.toml
	others      []tomlfile.Item // supplementary_groups
	hasOthers   bool            // whether sites.toml has supplementary_groups, even an empty list
}

var localeName = regexp.MustCompile(`^[A-Za-z0-9_.@-]+$`)

// readIdentity reads user, group and supplementary_groups. A table that names a user
// does not inherit the groups of another user.
func (d *siteDraft) readIdentity() {
	t := d.table
	if user := rawString(t, "user"); user != nil {
		d.runAs = identity{user: user}
		d.User, d.Group, d.SupplementaryGroups = user.text, "", nil
	}
	if group := rawString(t, "group"); group != nil {
		d.runAs.group, d.Group = group, group.text
	}
	if items, ok := t.Items("supplementary_groups"); ok {
		d.runAs.others, d.runAs.hasOthers = items, true
		t.Strings("supplementary_groups", &d.SupplementaryGroups)
	}
}

// readLocale reads the name of a locale.
func (d *siteDraft) readLocale(key string, to *string) {
	if d.table.String(key, to) && !localeName.MatchString(*to) {
		d.table.Problem(key, fmt.Sprintf("%q is not a locale", *to), `write one such as "C.UTF-8" or "de_CH.UTF-8"`)
	}
}

func (d *siteDraft) readUmask() {
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

// finishIdentity looks up the user and the groups. It checks that multisite can start
// processes as them, and that they may read what they will run.
func (l *loader) finishIdentity(d *siteDraft) {
	who := d.runAs
	if who.user == nil {
		if who.group != nil || who.hasOthers {
			d.table.Problem("user", "missing: groups need a user", "write user beside group and supplementary_groups")
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
		if !isOurs(a, who) {
			d.table.Problem("user", fmt.Sprintf("user %q needs multisite to run as root", who.user.text), "start it as root, or as that user; or leave user out")
		}
		return
	}
	d.Account = a
	l.checkReach(d)
}

// isOurs reports whether multisite itself runs as a.
func isOurs(a *account.Account, who identity) bool {
	return a.UID == os.Geteuid() && (who.group == nil || a.GID == os.Getegid()) && !who.hasOthers
}

// find looks up the account. It reports to d why there is none.
func (who identity) find(d *siteDraft) (a *account.Account, ok bool) {
	a, err := account.Find(who.user.text)
	switch {
	case errors.Is(err, account.ErrRoot):
		d.table.Problem("user", err.Error(), "name a user of its own; a site without user runs as the user that starts multisite")
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
		if a.GID, err = account.FindGroup(who.group.text); err != nil {
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

// checkReach reports the paths that the site's user may not read or enter, and why.
func (l *loader) checkReach(d *siteDraft) {
	for _, need := range []struct {
		key, path string
		want      account.Access
	}{
		{"home", d.Home, account.Run}, {"python_home", d.Python, account.Run}, {"app", d.App, account.Run},
		{"wsgi", d.WSGI, account.Read}, {"settings", d.Settings, account.Read},
	} {
		if !filepath.IsAbs(need.path) { // a module, or not set
			continue
		}
		if err := d.Account.May(need.want, need.path); err != nil {
			d.table.Problem(need.key, err.Error(), "")
		}
	}
	d.checkFiles("static", d.Static)
	d.checkFiles("sendfile", d.Sendfile)
	switch {
	case d.runs.settings.isBuiltin():
		d.table.Problem("user", "a builtin site keeps its database in state_dir, where only multisite itself may write",
			"give it a settings file, whose database can be the user's")
	case d.Kind == WSGI:
		if err := d.Account.May(account.Run, l.config.StateDir); err != nil {
			d.table.Problem("user", err.Error()+", and needs what is in state_dir", `put it elsewhere: state_dir = "/var/lib/multisite"`)
		}
	}
}

// checkFiles reports the directories and files that the front door may not read for the
// site.
func (d *siteDraft) checkFiles(key string, paths map[string]string) {
	for _, prefix := range slices.Sorted(maps.Keys(paths)) {
		want := account.Run
		if !strings.HasSuffix(prefix, "/") { // a file, or what may become one
			want = account.Read
		}
		if err := d.Account.May(want, paths[prefix]); err != nil {
			d.table.Problem(key, err.Error(), "the front door reads a site's files as the site's user")
		}
	}
}
