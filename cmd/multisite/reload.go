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
			"settings, environment or interpreter changed get new workers, which are ready\n" +
			"before the old ones go; everything else changes in place. With SITE, that is done\n" +
			"to one site. A mistake in the file, or code that does not start, leaves what runs\n" +
			"as it is. For new workers where nothing has changed there is restart.",
		Args: atMost(1, "reload [SITE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			site := ""
			if len(args) == 1 {
				site = args[0]
			}
			err := c.call(func(client *control.Client) error {
				changes, err := client.Reload(cmd.Context(), site)
				fmt.Fprint(cmd.OutOrStdout(), changes)
				return err
			})
			if mistakes := (tomlfile.Problems)(nil); errors.As(err, &mistakes) { // the old serves on, as with bad code
				report(cmd.ErrOrStderr(), err)
				return &exitError{1}
			}
			return err
		},
	}
}
