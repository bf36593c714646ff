package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes the manual pages, for those who package or install multisite.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write a manual page for each command",
		Hidden: true,
		Args:   exactly(1, "man DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true // pages of one version are always the same
			return doc.GenManTree(root, &doc.GenManHeader{Title: "MULTISITE", Section: "1", Source: "multisite " + version(), Manual: "multisite"}, args[0])
		},
	}
}
