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

// cli is what all commands share.
type cli struct {
	configPath string // --config
}

func newRoot() *cobra.Command {
	c := &cli{}
	root := &cobra.Command{
		Use:           "multisite",
		Short:         "Run many websites from one code base on one machine",
		SilenceErrors: true, // report prints them
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Version:       thisBuild().String(),
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.Flags().Bool("version", false, "print the version, the commit and the Go it was built with")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVarP(&c.configPath, "config", "c", "", "the sites.toml to use (default ./sites.toml, or $MULTISITE_CONFIG)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		message, _, _ := strings.Cut(err.Error(), ": strconv.") // says the same in words of Go
		return &usageError{err: errors.New(message), hint: strings.Replace(cmd.CommandPath(), "multisite", "see multisite help", 1)}
	})
	root.SetHelpCommand(helpCommand())
	root.AddCommand(
		c.upCommand(), c.downCommand(), c.statusCommand(), c.scaleCommand(), c.restartCommand(), c.reloadCommand(),
		c.checkCommand(), c.logsCommand(), c.manageCommand(), versionCommand(), workerCommand(),
		c.upgradeCommand(), c.takeoverCommand(), c.dashboardCommand(),
	)
	return root
}

// helpCommand is cobra's own, which takes an unknown command for none.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show how a command is used",
		Args:  atMost(1, "help [COMMAND]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			about, _, err := cmd.Root().Find(args)
			if err != nil || len(args) > 0 && about == cmd.Root() {
				return &usageError{err: fmt.Errorf("unknown command %q", args[0]), hint: "see multisite help"}
			}
			return about.Help()
		},
	}
}

// path is the sites.toml to use, and whether somebody named it.
func (c *cli) path() (path string, named bool) {
	switch {
	case c.configPath != "":
		return c.configPath, true
	case os.Getenv("MULTISITE_CONFIG") != "":
		return os.Getenv("MULTISITE_CONFIG"), true
	}
	return defaultConfig, false
}

// settle makes the path of sites.toml absolute, as it was named: through the links on
// the way, whatever they lead to later (filepath.Abs believes $PWD where that is here).
func (c *cli) settle() error {
	path, _ := c.path()
	var err error
	c.configPath, err = filepath.Abs(path)
	return err
}

func (c *cli) load() (*config.Config, error) {
	path, _ := c.path()
	return config.Load(path)
}

// stateDir is where the running supervisor is found, whatever else is wrong with
// sites.toml by now: also that it is gone, where nobody named another one.
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

// call makes a call and explains when there is nobody to answer it.
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

// exactly returns a check that a command gets n arguments; use is how it is called.
func exactly(n int, use string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return wrongArguments(fmt.Sprintf("takes %s", count(n)), len(args), use)
	}
}

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
