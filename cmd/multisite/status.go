package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/status"
)

// illExit is the exit code of status where a site is failed or degraded.
const illExit = 3

// statusFlags are the flags of status.
type statusFlags struct {
	json, workers, watch bool
	sort                 string
}

func (c *cli) statusCommand() *cobra.Command {
	var f statusFlags
	const use = "status [SITE] [--workers] [--watch] [--sort ORDER] [--json]"
	cmd := &cobra.Command{
		Use:   "status [SITE]",
		Short: "Show sites, workers and their memory",
		Long: "Show the sites, those first that need a person; with SITE or --workers, their\n" +
			"workers too. It exits with 3 where a site is failed or degraded.\n\n" +
			"MEM is PSS: it counts a page that processes share only once over all of them, so its\n" +
			"sums are true. USS is what stopping a process would free; RSS counts shared pages in\n" +
			"full for every process. REQ/S, P50 and P99 are those of the last minute, ERR/H counts\n" +
			"the errors of the last hour.",
		Args:              atMost(1, use),
		ValidArgsFunction: c.completeSites(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site := ""
			if len(args) == 1 {
				site = args[0]
			}
			if orders[f.sort] == nil {
				return &usageError{err: fmt.Errorf("--sort %s is not one of %s", f.sort, strings.Join(slices.Sorted(maps.Keys(orders)), ", ")), hint: "usage: multisite " + use}
			}
			if f.watch && f.json {
				return &usageError{err: errors.New("--watch shows no JSON"), hint: "usage: multisite " + use}
			}
			if f.watch {
				return c.watchStatus(cmd, site, f)
			}
			return c.showStatus(cmd, site, f)
		},
	}
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON: bytes, seconds, RFC 3339 times")
	cmd.Flags().BoolVarP(&f.workers, "workers", "w", false, "show the workers of all sites")
	cmd.Flags().BoolVar(&f.watch, "watch", false, "show it again every two seconds, until Ctrl-C")
	cmd.Flags().StringVar(&f.sort, "sort", "attention", "order of the sites: "+strings.Join(slices.Sorted(maps.Keys(orders)), ", "))
	return cmd
}

// showStatus prints the status once.
func (c *cli) showStatus(cmd *cobra.Command, site string, f statusFlags) error {
	st, err := c.statusOf(cmd.Context(), site, 0)
	if err != nil {
		return err
	}
	if f.json {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		if err := enc.Encode(st); err != nil {
			return err
		}
	} else {
		f.print(newDisplay(cmd.OutOrStdout()), st, site, time.Now())
	}
	if slices.ContainsFunc(st.Sites, isIll) {
		return &exitError{illExit}
	}
	return nil
}

// print prints a status as the flags say.
func (f statusFlags) print(s *display, st status.Status, site string, now time.Time) {
	if site != "" {
		printSite(s, st.Sites[0], now)
		return
	}
	slices.SortStableFunc(st.Sites, orders[f.sort])
	printStatus(s, st, now)
	if f.workers {
		for _, one := range st.Sites {
			printWorkers(s, one, now)
			printTasks(s, one, now)
		}
	}
}

// statusOf returns the status of a site, or of all for "". Its measurements of memory are
// not older than maxAge.
func (c *cli) statusOf(ctx context.Context, site string, maxAge time.Duration) (st status.Status, err error) {
	err = c.call(func(client *control.Client) (err error) {
		st, err = client.StatusWithin(ctx, maxAge)
		return err
	})
	if err == nil && site != "" {
		err = onlySite(&st, site)
	}
	return st, err
}

func onlySite(st *status.Status, name string) error {
	var names []string
	for _, site := range st.Sites {
		names = append(names, site.Name)
	}
	st.Sites = slices.DeleteFunc(st.Sites, func(s status.Site) bool { return s.Name != name })
	if len(st.Sites) > 0 {
		return nil
	}
	return &usageError{err: fmt.Errorf("no site %q", name), hint: nearest(name, names, "multisite status lists them")}
}

// nearest returns a hint for a name that does not exist: the one that was probably meant.
func nearest(name string, names []string, otherwise string) string {
	if near := tomlfile.Nearest(name, names); near != "" && near != name {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return otherwise
}
