package main

import (
	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor/control"
)

func (c *cli) restartCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restart SITE",
		Short: "Replace the worker processes of a site",
		Long: "Start new workers for a site and stop the old ones as the new ones become ready. No\n" +
			"request is lost. If the new code does not start, the old workers stay and the\n" +
			"command fails with the reason.",
		Args:              exactly(1, "restart SITE"),
		ValidArgsFunction: c.completeSites(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.awaiting(cmd, args, func(client *control.Client) error { return client.Restart(cmd.Context(), args[0]) })
		},
	}
}
