package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor"
	"github.com/multisite/multisite/supervisor/control"
)

func (c *cli) upgradeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "upgrade",
		Short: "Replace the running supervisor by this program",
		Long: "Replace the running supervisor by this program: install the new version, and run\n" +
			"upgrade with it. The supervisor keeps its process. Workers, services and cron\n" +
			"commands run on, requests are answered, and clients stay connected; requests that\n" +
			"come during the change wait for it. New workers of the built-in Go apps run the new\n" +
			"version; multisite restart replaces the old ones.\n" +
			"A program that cannot take over is refused, and nothing changes. SIGUSR2 does the\n" +
			"same with the program at the path from which the supervisor was started.",
		Args: exactly(0, "upgrade"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return err
			}
			return c.call(func(client *control.Client) error {
				u, err := client.Upgrade(cmd.Context(), program)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "process %d: multisite %s became %s; requests waited for %.2f s\n", u.PID, u.From, u.To, u.Paused)
				return nil
			})
		},
	}
}

// takeoverCommand is what a supervisor runs to find out whether a program can replace
// it.
func (c *cli) takeoverCommand() *cobra.Command {
	var stateDir string
	cmd := &cobra.Command{
		Use:    "takeover",
		Short:  "Report whether this program can replace a running supervisor",
		Hidden: true,
		Args:   exactly(0, "takeover"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			t, err := supervisor.PrepareTakeover(cfg, stateDir, version())
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(t)
		},
	}
	cmd.Flags().StringVar(&stateDir, "state-dir", "", "the state directory of the running supervisor")
	return cmd
}

// takeoverArgs returns the arguments with which a program reports whether it can replace
// this one.
func (c *cli) takeoverArgs() []string { return []string{"takeover", "--config", c.configPath} }

// argsAfterUpgrade returns the arguments of this process for the program that replaces
// it, with an absolute path of sites.toml, since the working directory may be gone.
func (c *cli) argsAfterUpgrade(program string) []string {
	args, config := slices.Clone(os.Args), []string{"--config", c.configPath} // the last --config counts
	args[0] = program
	if n := len(args) - len(config); n > 0 && slices.Equal(args[n:], config) {
		return args
	}
	return append(args, config...)
}

// startedFrom returns the path by which the program was called. It may be a link that
// leads to another version later.
func startedFrom(program string) string {
	called, err := exec.LookPath(os.Args[0])
	if err == nil {
		called, err = filepath.Abs(called)
	}
	if err != nil {
		return program
	}
	return called
}
