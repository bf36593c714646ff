package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/apps"
	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/statedir"
)

func (c *cli) manageCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "manage SITE COMMAND [ARGUMENTS]",
		Short: "Run a management command of a site: migrate, createsuperuser, shell, ...",
		Long: "Run a management command with a site's own settings, path, interpreter and\n" +
			"environment. For a Django site it is Django's manage.py, with every command that\n" +
			"the project has. A site of the built-in Go apps has migrate, createsuperuser,\n" +
			"changepassword, dumpdata, loaddata, dbshell and backup. The exit code is the command's.",
		Example:            "  multisite manage subdomain1 migrate\n  multisite manage subdomain1 createsuperuser",
		DisableFlagParsing: true, // they are the command's
		RunE: func(cmd *cobra.Command, args []string) error {
			args, err := c.takeConfig(args)
			if err != nil {
				return err
			}
			if len(args) == 0 || args[0] == "-h" || args[0] == "--help" {
				return cmd.Help()
			}
			cfg, err := c.load()
			if err != nil {
				return err
			}
			site, err := findSite(cfg, args[0])
			if err != nil {
				return err
			}
			stateDir := cfg.StateDir
			if client, err := c.client(); err == nil {
				if about, err := client.About(cmd.Context()); err == nil {
					stateDir = about.StateDir
				}
			}
			return manage(cmd, stateDir, site, args[1:])
		},
	}
}

// takeConfig takes --config from before the site's name.
func (c *cli) takeConfig(args []string) ([]string, error) {
	if len(args) > 0 && (args[0] == "-c" || args[0] == "--config") {
		if len(args) == 1 {
			return nil, &usageError{err: fmt.Errorf("%s names no file", args[0]), hint: "usage: multisite manage -c FILE SITE COMMAND"}
		}
		c.configPath = args[1]
		return args[2:], nil
	}
	return args, nil
}

func findSite(cfg *config.Config, name string) (*config.Site, error) {
	var names []string
	for _, site := range cfg.Sites {
		names = append(names, site.Name)
	}
	if i := slices.Index(names, name); i >= 0 {
		return cfg.Sites[i], nil
	}
	e := &usageError{err: fmt.Errorf("no site %q in %s", name, cfg.Path)}
	if near := tomlfile.Nearest(name, names); near != "" {
		e.hint = fmt.Sprintf("did you mean %q?", near)
	}
	return nil, e
}

// manage runs a management command beside the workers that run, with their state
// directory, or with that of the next start.
func manage(cmd *cobra.Command, stateDir string, site *config.Site, args []string) error {
	if err := statedir.Make(stateDir); err != nil {
		return err
	}
	switch site.Kind {
	case config.WSGI:
		return supervisor.ManagePython(stateDir, site, args)
	case config.Apps:
		if site.Umask != nil {
			unix.Umask(*site.Umask)
		}
		if err := site.Account.Become(); err != nil {
			return err
		}
		opts := apps.Options{StateDir: stateDir}
		if code := apps.Manage(cmd.Context(), site.Settings, opts, args, os.Stdin, os.Stdout, os.Stderr); code != 0 {
			return &exitError{code}
		}
		return nil
	}
	return &usageError{err: fmt.Errorf("site %s is a program of its own, which has no management commands", site.Name)}
}
