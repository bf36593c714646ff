package main

import (
	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor"
	"github.com/multisite/multisite/supervisor/control"
)

func (c *cli) downCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop every site and the supervisor",
		Long:  "Let requests in flight finish, stop every worker, and return when the supervisor has ended.",
		Args:  exactly(0, "down"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := c.call(func(client *control.Client) error { return client.Down(cmd.Context()) })
			if err != nil {
				return err
			}
			cfg, err := c.load()
			if err != nil {
				return err
			}
			return supervisor.WaitDown(cfg.StateDir)
		},
	}
}
