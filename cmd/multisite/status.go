package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor/control"
)

func (c *cli) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [SITE]",
		Short: "Show sites, workers and their memory",
		Long: "Show sites, workers and their memory. PSS counts a page that processes share once\n" +
			"in all, so sums are true; USS is what ending the process gives back; RSS counts\n" +
			"shared pages in every process.",
		Args: atMost(1, "status [SITE] [--json]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var st control.Status
			err := c.call(func(client *control.Client) (err error) {
				st, err = client.Status(cmd.Context())
				return err
			})
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if err := onlySite(&st, args[0]); err != nil {
					return err
				}
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(st)
			}
			return printStatus(cmd.OutOrStdout(), st, time.Now())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: bytes, seconds, RFC 3339 times")
	return cmd
}

func onlySite(st *control.Status, name string) error {
	st.Sites = slices.DeleteFunc(st.Sites, func(s control.SiteStatus) bool { return s.Name != name })
	if len(st.Sites) == 0 {
		return &usageError{err: fmt.Errorf("no site %q", name), hint: "multisite status lists them"}
	}
	return nil
}

// printStatus writes the table. No line of it is longer than 100 columns.
func printStatus(w io.Writer, st control.Status, now time.Time) error {
	s := st.Supervisor
	fmt.Fprintf(w, "multisite %s, pid %d, up %s, %s\n\n", s.Version, s.PID, age(now.Sub(s.Started)), strings.Join(s.Listen, " "))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SITE, WORKER\tPSS\tUSS\tRSS\tSTATE\tPID\tREQUESTS\tSOCKET, SETTINGS")
	total := s.Memory
	for _, site := range st.Sites {
		m := site.Memory.Memory
		total = control.Memory{PSS: total.PSS + m.PSS, USS: total.USS + m.USS, RSS: total.RSS + m.RSS}
		fmt.Fprintf(t, "%s\t%s\t%s %d/%d\t\t%d\t%s\n", cut(site.Name, 20), sizes(m), site.State,
			site.Processes.Ready, site.Processes.Desired, site.Requests.Total, cut(site.Settings, 26))
		for _, wk := range site.Workers {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%d\t%d\t%s\n", cut(wk.ID, 20), sizes(wk.Memory), wk.State, wk.PID, wk.Requests, cutLeft(wk.Socket, 26))
		}
	}
	fmt.Fprintf(t, "supervisor\t%s\n", sizes(s.Memory))
	fmt.Fprintf(t, "total\t%s\n", sizes(total))
	if err := t.Flush(); err != nil {
		return err
	}
	printTrouble(w, st)
	return nil
}

// printTrouble tells of each site what last went wrong with it.
func printTrouble(w io.Writer, st control.Status) {
	for _, site := range st.Sites {
		if site.LastError != "" {
			fmt.Fprintf(w, "\n%s: %s\n", site.Name, site.LastError)
		}
		if site.LastExit != "" {
			fmt.Fprintf(w, "\n%s\n", cut("last end: "+site.LastExit, 100))
		}
	}
}

func sizes(m control.Memory) string {
	return mb(m.PSS) + "\t" + mb(m.USS) + "\t" + mb(m.RSS)
}

// mb is a size in megabytes of 2^20 bytes.
func mb(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }

func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// cutLeft keeps the end of a path, which tells more than its beginning.
func cutLeft(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return "…" + string(r[len(r)-n+1:])
	}
	return s
}
