package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/apps"
	"github.com/multisite/multisite/worker"
)

// workerCommand is what the supervisor runs as a worker of the built-in apps.
func workerCommand() *cobra.Command {
	var settings, stateDir string
	var hosts []string
	cmd := &cobra.Command{
		Use:    "worker",
		Short:  "Serve one site of the built-in Go apps (started by the supervisor)",
		Hidden: true,
		Args:   exactly(0, "worker"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			site, err := apps.Open(cmd.Context(), settings, apps.Options{StateDir: stateDir, Hosts: hosts})
			if err != nil {
				return errors.New(err.Error()) // without hints, since the last line is reported as the reason
			}
			worker.Serve(site)
			return site.Close()
		},
	}
	cmd.Flags().StringVar(&settings, "settings", "", "settings file")
	cmd.Flags().StringVar(&stateDir, "state-dir", "", "state directory")
	cmd.Flags().StringArrayVar(&hosts, "host", nil, "name of the site in sites.toml")
	return cmd
}
