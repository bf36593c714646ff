package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().StringVarP(&c.configPath, "config", "c", "", "the sites.toml to use (default ./sites.toml, or $MULTISITE_CONFIG)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{err: err, hint: "see multisite help " + cmd.Name()}
	})
	root.AddCommand(
		c.upCommand(), c.downCommand(), c.statusCommand(), c.scaleCommand(), c.restartCommand(),
		c.checkCommand(), c.logsCommand(), versionCommand(), workerCommand(),
	)
	return root
}

// path is the sites.toml that was asked for.
func (c *cli) path() string {
	switch {
	case c.configPath != "":
		return c.configPath
	case os.Getenv("MULTISITE_CONFIG") != "":
		return os.Getenv("MULTISITE_CONFIG")
	}
	return defaultConfig
}

// load reads sites.toml. Where nobody named one and there is none, it is the
// built-in one: two small sites that need nothing but this binary.
func (c *cli) load() (*config.Config, error) {
	path := c.path()
	if path == defaultConfig {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			abs, err := filepath.Abs(path)
			if err != nil {
				return nil, err
			}
			return config.Parse(abs, config.Default())
		}
	}
	return config.Load(path)
}

// client returns a client for the running supervisor of the sites.toml.
func (c *cli) client() (*control.Client, *config.Config, error) {
	cfg, err := c.load()
	if err != nil {
		return nil, nil, err
	}
	return control.NewClient(cfg.StateDir), cfg, nil
}

// call makes a call and explains when there is nobody to answer it.
func (c *cli) call(f func(*control.Client) error) error {
	client, _, err := c.client()
	if err != nil {
		return err
	}
	if err := f(client); errors.Is(err, control.ErrNotRunning) {
		return &hintedError{err: fmt.Errorf("no supervisor is running for %s", c.path()), hint: "start one with multisite up -d"}
	} else if err != nil {
		return err
	}
	return nil
}

// exactly returns a check of the number of arguments.
func exactly(n int, use string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return &usageError{err: fmt.Errorf("want %d argument(s), got %d", n, len(args)), hint: "usage: multisite " + use}
	}
}

func atMost(n int, use string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		return exactly(n, use)(cmd, args)
	}
}
