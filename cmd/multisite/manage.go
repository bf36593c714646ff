package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/apps"
	"github.com/multisite/multisite/supervisor"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/statedir"
)

func (c *cli) manageCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "manage SITE COMMAND [ARGUMENTS]",
		Short: "Run a management command of a site: migrate, createsuperuser, shell, ...",
		Long: "Run a management command with a site's own settings, path, interpreter and\n" +
			"environment. A Django site has every command of its project, as with manage.py.\n" +
			"A site of the built-in Go apps has migrate, createsuperuser, changepassword,\n" +
			"dumpdata, loaddata, dbshell and backup. The exit code is that of the command.",
		Example:            "  multisite manage subdomain1 migrate\n  multisite manage subdomain1 createsuperuser",
		ValidArgsFunction:  c.completeSites(1),
		DisableFlagParsing: true, // the flags belong to the management command
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

// takeConfig removes --config FILE from the front of args, where cobra does not parse
// it.
func (c *cli) takeConfig(args []string) ([]string, error) {
	if len(args) > 0 && (args[0] == "-c" || args[0] == "--config") {
		if len(args) == 1 {
			return nil, &usageError{err: fmt.Errorf("%s needs a file", args[0]), hint: "usage: multisite manage -c FILE SITE COMMAND"}
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
	return nil, &usageError{err: fmt.Errorf("no site %q in %s", name, cfg.Path), hint: nearest(name, names, "")}
}

// manage runs a management command with the state directory of the running supervisor,
// or of the next one if none is running.
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
	return &usageError{err: fmt.Errorf("site %s is a program of its own and has no management commands", site.Name)}
}
