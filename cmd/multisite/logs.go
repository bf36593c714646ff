package main

import (
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/logs"
)

func (c *cli) logsCommand() *cobra.Command {
	const use = "logs [SITE] [-f] [-n LINES]"
	q := control.LogQuery{}
	cmd := &cobra.Command{
		Use:               "logs [SITE]",
		Short:             "Show what the workers of a site wrote, and what happened to them",
		Args:              atMost(1, use),
		ValidArgsFunction: c.completeSites(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				q.Site = args[0]
			}
			if q.Lines < 0 {
				return &usageError{err: fmt.Errorf("%d is not a number of lines", q.Lines), hint: "usage: multisite " + use}
			}
			client, err := c.client()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			err = client.Logs(ctx, q, cmd.OutOrStdout())
			switch {
			case ctx.Err() != nil:
				return nil
			case errors.Is(err, control.ErrNotRunning):
				return c.tailFiles(cmd, q)
			}
			return err
		},
	}
	cmd.Flags().IntVarP(&q.Lines, "lines", "n", 100, "how many of the last lines")
	cmd.Flags().BoolVarP(&q.Follow, "follow", "f", false, "show new lines as they come")
	return cmd
}

// tailFiles shows the log files of a supervisor that is no longer running.
func (c *cli) tailFiles(cmd *cobra.Command, q control.LogQuery) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	names := []string{"multisite"}
	for _, site := range cfg.Sites {
		names = append(names, site.Name)
	}
	if q.Site != "" {
		if !slices.Contains(names[1:], q.Site) {
			return &usageError{err: fmt.Errorf("no site %q", q.Site), hint: nearest(q.Site, names[1:], "there are "+strings.Join(names[1:], ", "))}
		}
		names = []string{q.Site}
	}
	lines, err := logs.Tail(cfg.LogDir, names, q.Lines)
	fmt.Fprint(cmd.OutOrStdout(), strings.Join(lines, ""))
	return err
}
