package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor/control"
)

func (c *cli) scaleCommand() *cobra.Command {
	const use = "scale SITE N | SITE=N ..."
	return &cobra.Command{
		Use:   use,
		Short: "Set how many worker processes a site has",
		Long: "Set how many worker processes a site has. Workers that remain are not affected;\n" +
			"the others finish their requests and exit. The command returns when the site has the\n" +
			"new number of workers.",
		Example:           "  multisite scale subdomain1 5\n  multisite scale subdomain1=3 subdomain2=8",
		ValidArgsFunction: c.completeSites(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			scales, err := parseScales(args)
			if err != nil {
				return &usageError{err: err, hint: "usage: multisite " + use}
			}
			var sites []string
			for _, s := range scales {
				sites = append(sites, s.Site)
			}
			return c.awaiting(cmd, sites, func(client *control.Client) error { return client.Scale(cmd.Context(), scales) })
		},
	}
}

func parseScales(args []string) ([]control.Scale, error) {
	if len(args) == 2 && !strings.Contains(args[0], "=") && !strings.Contains(args[1], "=") {
		args = []string{args[0] + "=" + args[1]}
	}
	if len(args) == 0 {
		return nil, errors.New("scale takes a site and a number")
	}
	var scales []control.Scale
	for _, arg := range args {
		site, number, ok := strings.Cut(arg, "=")
		if !ok || site == "" {
			return nil, fmt.Errorf("%q is not SITE=N", arg)
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is not a number of processes", number)
		}
		scales = append(scales, control.Scale{Site: site, Processes: n})
	}
	return scales, nil
}
