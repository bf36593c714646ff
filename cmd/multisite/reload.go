package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/control"
)

func (c *cli) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reload [SITE]",
		Short: "Read sites.toml and the code again, and apply the difference",
		Long: "Read sites.toml and the code again and apply the difference. Sites whose code,\n" +
			"settings, environment or interpreter changed get new workers, and the old ones exit\n" +
			"when the new ones are ready; everything else changes in place. With SITE, only that\n" +
			"site is reloaded. If sites.toml has a mistake, or the new code does not start, the\n" +
			"old workers serve on. To replace workers although nothing has changed, use restart.",
		Args:              atMost(1, "reload [SITE]"),
		ValidArgsFunction: c.completeSites(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site := ""
			if len(args) == 1 {
				site = args[0]
			}
			err := c.awaiting(cmd, args, func(client *control.Client) error {
				changes, err := client.Reload(cmd.Context(), site)
				fmt.Fprint(cmd.OutOrStdout(), changes)
				return err
			})
			if mistakes := (tomlfile.Problems)(nil); errors.As(err, &mistakes) { // the old workers serve on, as with code that does not start
				report(cmd.ErrOrStderr(), err)
				return &exitError{1}
			}
			return err
		},
	}
}
