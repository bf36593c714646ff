package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor/control"
)

func (c *cli) dashboardCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "dashboard",
		Short: "Print the address of the dashboard, and open it in a browser",
		Long: "Print the address of the dashboard with its token, and open it in the browser of\n" +
			"the desktop, if there is one. The token is valid until the supervisor is started\n" +
			"again.",
		Args: exactly(0, "dashboard"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.call(func(client *control.Client) error {
				d, err := client.Dashboard(cmd.Context())
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), d.URL)
				return openBrowser(d.URL)
			})
		},
	}
}

// openBrowser opens an address in the browser of the desktop, if there is one. Every
// user of the machine can read command lines, so the browser gets the name of a private
// file in XDG_RUNTIME_DIR that leads to the address.
func openBrowser(url string) error {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	desktop := os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != ""
	opener, err := exec.LookPath("xdg-open")
	if dir == "" || !desktop || err != nil {
		return nil
	}
	file := filepath.Join(dir, "multisite-dashboard.html")
	_ = os.Remove(file) // left by an earlier call; OpenFile reports one that cannot be removed
	page := fmt.Sprintf("<!doctype html><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0;url=%s\">\n", url)
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(page); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := exec.Command(opener, file).Run(); err != nil {
		return fmt.Errorf("open the browser: %s: %w", opener, err)
	}
	return nil
}
