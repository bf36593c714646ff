package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/statedir"
)

func (c *cli) downCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop every site and the supervisor",
		Long: "Let requests in flight finish, stop every worker, and return when the supervisor has\n" +
			"exited.",
		Args: exactly(0, "down"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.awaiting(cmd, nil, func(client *control.Client) error {
				st, err := client.Status(cmd.Context())
				if err != nil {
					return err
				}
				awaitExit, watchErr := statedir.Watch(st.Supervisor.PID) // while it surely has that pid
				if err := errors.Join(client.Down(cmd.Context()), watchErr); err != nil {
					return err
				}
				return awaitExit()
			})
		},
	}
}
