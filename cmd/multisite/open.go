package main

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"
)

func (c *cli) openCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "open SITE",
		Short: "Print the address of a site, and open it in a browser",
		Long: "Print an address of a site, one that needs no DNS if the site has one (a name below\n" +
			".localhost), and open it in the browser of the desktop, if there is one.",
		Args:              exactly(1, "open SITE"),
		ValidArgsFunction: c.completeSites(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := c.statusOf(cmd.Context(), args[0], watchAge)
			if err != nil {
				return err
			}
			url := st.Sites[0].URL
			fmt.Fprintln(cmd.OutOrStdout(), url)
			if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
				return nil
			}
			opener, err := exec.LookPath("xdg-open")
			if err != nil {
				return nil
			}
			if err := exec.Command(opener, url).Run(); err != nil {
				return fmt.Errorf("open the browser: %s: %w", opener, err)
			}
			return nil
		},
	}
}
