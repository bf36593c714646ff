package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor/control"
)

func (c *cli) pauseCommand() *cobra.Command {
	var most time.Duration
	cmd := &cobra.Command{
		Use:   "pause SITE",
		Short: "Let the requests of a site wait, as for a short migration",
		Long: "Let new requests of a site wait in its queue, and return when no request runs any\n" +
			"more. Visitors see nothing but a slow page, up to listen_backlog requests and\n" +
			"queue_timeout. The site goes on with multisite resume, and by itself after --max.",
		Example:           "  multisite pause shop && multisite manage shop migrate && multisite resume shop",
		Args:              exactly(1, "pause SITE [--max 30s]"),
		ValidArgsFunction: c.completeSites(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var p control.Paused
			err := c.call(func(client *control.Client) (err error) {
				p, err = client.Pause(cmd.Context(), args[0], most)
				return err
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: paused, no request runs; it goes on by itself at %s\n", args[0], p.Until.Local().Format(time.TimeOnly))
			return err
		},
	}
	cmd.Flags().DurationVar(&most, "max", 30*time.Second, "after so long the site goes on by itself")
	return cmd
}

func (c *cli) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "resume SITE",
		Short:             "Let the requests of a paused site go on",
		Args:              exactly(1, "resume SITE"),
		ValidArgsFunction: c.completeSites(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r control.Resumed
			err := c.call(func(client *control.Client) (err error) {
				r, err = client.Resume(cmd.Context(), args[0])
				return err
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: goes on after %.1f s; %s waited\n", args[0], r.Seconds, plural(r.Waited, "request"))
			return err
		},
	}
}
