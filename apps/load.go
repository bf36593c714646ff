package apps

import (
	"fmt"
	"slices"
	"strings"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/settings"
	"github.com/multisite/multisite/apps/tomlfile"
)

// requiredApps are the apps that every site must install.
var requiredApps = []string{"sessions", "messages", "auth", "sites"}

// Check returns all mistakes of a settings file, and of the files that it names, as
// tomlfile.Problems. It changes nothing.
func Check(settingsPath string) error {
	_, _, err := load(settingsPath, Options{}.withDefaults())
	return err
}

// load reads the settings and returns them with their apps, in the order of all.
func load(settingsPath string, opts Options) (settings.Settings, []app.App, error) {
	known := all()
	names := make([]string, len(known))
	for i, a := range known {
		names[i] = a.Name
	}
	s, err := settings.Load(settingsPath, settings.Options{Apps: names, StateDir: opts.StateDir})
	if err != nil {
		return s, nil, err
	}
	s.AllowedHosts = append(s.AllowedHosts, opts.Hosts...)
	var installed []app.App
	for _, a := range known {
		if slices.Contains(s.InstalledApps, a.Name) {
			installed = append(installed, a)
		}
	}
	return s, installed, checkNeeds(s, installed)
}

// checkNeeds returns problems for apps that need others which are not there.
func checkNeeds(s settings.Settings, installed []app.App) error {
	var problems tomlfile.Problems
	problem := func(key, message, hint string) {
		problems = append(problems, tomlfile.Problem{
			Position: tomlfile.Position{File: s.Files[0]}, Key: key, Message: message, Hint: hint,
		})
	}
	for _, need := range requiredApps {
		if !slices.Contains(s.InstalledApps, need) {
			problem("installed_apps", fmt.Sprintf("lacks %q, which every site needs", need), "")
		}
	}
	mounted := map[string]bool{}
	for _, name := range s.URLs {
		mounted[name] = true
	}
	for _, a := range installed {
		for _, need := range a.Needs {
			if !slices.Contains(s.InstalledApps, need) && !slices.Contains(requiredApps, need) {
				problem("installed_apps", fmt.Sprintf("lacks %q, which %q needs", need, a.Name), "")
			}
		}
		if mounted[a.Name] && a.Routes == nil {
			problem("root_urlconf", fmt.Sprintf("the app %q has no pages", a.Name), "")
		}
		for _, need := range a.Paths {
			if mounted[a.Name] && !mounted[need] {
				problem("root_urlconf", fmt.Sprintf("lacks a path for %q, which %q needs", need, a.Name), `write "/`+strings.ToLower(need)+`/" = "`+need+`"`)
			}
		}
	}
	return problems.Err()
}
