package main

import (
	"slices"

	"github.com/spf13/cobra"
)

// completeSites returns what a shell may complete: the sites of sites.toml, for the first n
// arguments, or all of them if n is negative. Without a sites.toml that can be read there is
// nothing to complete.
func (c *cli) completeSites(n int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if n >= 0 && len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		cfg, err := c.load()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, site := range cfg.Sites {
			if !slices.Contains(args, site.Name) {
				names = append(names, site.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
