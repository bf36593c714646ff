package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
)

const defaultConfig = "sites.toml"

// cli holds what all commands share.
type cli struct {
	configPath string // the value of --config; made absolute by makeAbsolute
}

func newRoot() *cobra.Command {
	c := &cli{}
	root := &cobra.Command{
		Use:           "multisite",
		Short:         "Run many websites from one code base on one machine",
		SilenceErrors: true, // report prints them
		SilenceUsage:  true,
		Args:          anyUnknown,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Version:       thisBuild().String(),
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.Flags().Bool("version", false, "print the version, the commit and the Go it was built with")
	root.PersistentFlags().StringVarP(&c.configPath, "config", "c", "", "the sites.toml to use (default ./sites.toml, or $MULTISITE_CONFIG)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		message, _, _ := strings.Cut(err.Error(), ": strconv.") // what follows repeats it in terms of Go
		return &usageError{err: errors.New(message), hint: strings.Replace(cmd.CommandPath(), "multisite", "see multisite help", 1)}
	})
	root.SetHelpCommand(helpCommand())
	root.AddCommand(
		c.upCommand(), c.downCommand(), c.statusCommand(), c.scaleCommand(), c.restartCommand(), c.maintenanceCommand(), c.pauseCommand(), c.resumeCommand(), c.reloadCommand(),
		c.checkCommand(), c.trustCommand(), c.logsCommand(), c.manageCommand(), versionCommand(), workerCommand(),
		c.upgradeCommand(), c.takeoverCommand(), c.dashboardCommand(), c.openCommand(), c.topCommand(), c.historyCommand(), manCommand(),
	)
	return root
}

// anyUnknown is the check of the arguments of the root: all that is no command comes here.
func anyUnknown(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownCommand(root, args[0])
}

func unknownCommand(root *cobra.Command, name string) error {
	var names []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return &usageError{err: fmt.Errorf("unknown command %q", name), hint: nearest(name, names, "see multisite help")}
}

// helpCommand replaces cobra's help command, which does not report an unknown command.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show how a command is used",
		Args:  atMost(1, "help [COMMAND]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			about, _, err := cmd.Root().Find(args)
			if err != nil || len(args) > 0 && about == cmd.Root() {
				return unknownCommand(cmd.Root(), args[0])
			}
			return about.Help()
		},
	}
}

// path returns the path of the sites.toml to use, and whether the user named it.
func (c *cli) path() (path string, named bool) {
	switch {
	case c.configPath != "":
		return c.configPath, true
	case os.Getenv("MULTISITE_CONFIG") != "":
		return os.Getenv("MULTISITE_CONFIG"), true
	}
	return defaultConfig, false
}

// makeAbsolute makes the path of sites.toml absolute. It keeps the links in it, so that
// a later reload follows them anew (filepath.Abs uses $PWD if that is the working
// directory).
func (c *cli) makeAbsolute() error {
	path, _ := c.path()
	var err error
	c.configPath, err = filepath.Abs(path)
	return err
}

func (c *cli) load() (*config.Config, error) {
	path, _ := c.path()
	return config.Load(path)
}

// stateDir returns the state directory of the running supervisor. Other mistakes in
// sites.toml do not matter, nor that the default sites.toml has been removed.
func (c *cli) stateDir() (string, error) {
	path, named := c.path()
	if _, err := os.Stat(path); !named && errors.Is(err, fs.ErrNotExist) {
		return config.DefaultStateDir(path)
	}
	return config.StateDir(path)
}

// client returns a client for the running supervisor of the sites.toml.
func (c *cli) client() (*control.Client, error) {
	dir, err := c.stateDir()
	if err != nil {
		return nil, err
	}
	path, _ := c.path()
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	return control.NewClientOf(dir, path), nil
}

// call runs f with a client, and explains its error if no supervisor is running.
func (c *cli) call(f func(*control.Client) error) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	if err := f(client); errors.Is(err, control.ErrNotRunning) {
		path, _ := c.path()
		return &hintedError{err: fmt.Errorf("no supervisor is running for %s", path), hint: "start one with multisite up -d"}
	} else if err != nil {
		return err
	}
	return nil
}

// exactly returns a check that a command gets n arguments. use is its usage line.
func exactly(n int, use string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return wrongArguments(fmt.Sprintf("takes %s", count(n)), len(args), use)
	}
}

// atMost returns a check that a command gets no more than n arguments.
func atMost(n int, use string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		return wrongArguments(fmt.Sprintf("takes at most %s", count(n)), len(args), use)
	}
}

func wrongArguments(takes string, got int, use string) error {
	name, _, _ := strings.Cut(use, " ")
	return &usageError{err: fmt.Errorf("%s %s, not %d", name, takes, got), hint: "usage: multisite " + use}
}

func count(arguments int) string {
	switch arguments {
	case 0:
		return "no argument"
	case 1:
		return "one argument"
	}
	return fmt.Sprintf("%d arguments", arguments)
}
