package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
)

func (c *cli) maintenanceCommand() *cobra.Command {
	const use = "maintenance SITE on|off"
	var page string
	var allow []string
	cmd := &cobra.Command{
		Use:   use,
		Short: "Close a site to visitors, or open it again",
		Long: "Answer all requests of a site with 503 and Retry-After, until it is opened again: also\n" +
			"after a new start, a reload and an upgrade. Requests that have begun go on.",
		Example: "  multisite maintenance shop on --page busy.html --allow 10.0.0.0/8\n  multisite maintenance shop off",
		Args:    exactly(2, use),
		RunE: func(cmd *cobra.Command, args []string) error {
			m := control.Maintenance{Site: args[0], On: args[1] == "on", Allow: allow}
			if !m.On && (args[1] != "off" || page != "" || len(allow) > 0) {
				return &usageError{err: errors.New("maintenance takes on, which may have --page and --allow, or off"), hint: "usage: multisite " + use}
			}
			if page != "" {
				read, err := config.ReadPage(page, nil)
				if err != nil {
					return &usageError{err: err}
				}
				m.Page, m.PageName = append([]byte{}, read.Body...), page
			}
			if err := c.call(func(client *control.Client) error { return client.Maintenance(cmd.Context(), m) }); err != nil {
				return err
			}
			return sayMaintenance(cmd.OutOrStdout(), m)
		},
	}
	cmd.Flags().StringVar(&page, "page", "", "file that visitors get: .html, .txt or .json (default the site's page of 503)")
	cmd.Flags().StringSliceVar(&allow, "allow", nil, "address or network that gets the site all the same; may be repeated")
	return cmd
}

func sayMaintenance(w io.Writer, m control.Maintenance) error {
	if !m.On {
		_, err := fmt.Fprintf(w, "%s: open\n", m.Site)
		return err
	}
	_, err := fmt.Fprintf(w, "%s: closed, 503 for all%s until multisite maintenance %s off\n", m.Site, butFor(m.Allow), m.Site)
	return err
}
