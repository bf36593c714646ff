package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/status"
)

func (c *cli) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [SITE]",
		Short: "Show sites, workers and their memory",
		Long: "Show sites, workers and their memory. PSS counts a page that processes share only\n" +
			"once over all of them, so its sums are true; USS is what stopping the process would\n" +
			"free; RSS counts shared pages in full for every process.",
		Args: atMost(1, "status [SITE] [--json]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var st status.Status
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

func onlySite(st *status.Status, name string) error {
	st.Sites = slices.DeleteFunc(st.Sites, func(s status.Site) bool { return s.Name != name })
	if len(st.Sites) == 0 {
		return &usageError{err: fmt.Errorf("no site %q", name), hint: "multisite status lists them"}
	}
	return nil
}

// printStatus writes the table. No line of it is longer than 100 columns.
func printStatus(w io.Writer, st status.Status, now time.Time) error {
	s := st.Supervisor
	fmt.Fprintf(w, "multisite %s, pid %d, up %s, %s\n\n", s.Version, s.PID, age(now.Sub(s.Started)), addresses(s))
	t := table{{"SITE, WORKER", "PSS", "USS", "RSS", "STATE", "PID", "REQUESTS", "SOCKET, SETTINGS"}}
	for _, site := range st.Sites {
		state := fmt.Sprintf("%s %d/%d", site.State, site.Processes.Ready, site.Processes.Desired)
		t.row(site.Name, site.Memory.Memory, state, "", fmt.Sprint(site.Requests.Total), site.Settings)
		for _, wk := range site.Workers {
			name := "  " + cutLeft(wk.ID, nameWidth-2)
			if wk.PID == 0 { // not started yet
				t = append(t, []string{name, "", "", "", wk.State})
				continue
			}
			t.row(name, wk.Memory, wk.State, fmt.Sprint(wk.PID), fmt.Sprint(wk.Requests), wk.Socket)
		}
		if site.Memory.ZygotePSS > 0 {
			t = append(t, []string{"  zygote", mb(site.Memory.ZygotePSS)})
		}
		t.tasks(site, now)
	}
	t.row("supervisor", s.Memory)
	t.row("total", st.Total())
	if err := t.write(w); err != nil {
		return err
	}
	printShared(w, st, now)
	printMerging(w, st.Supervisor.Merging)
	printRefused(w, st.Supervisor.Refused)
	printProblems(w, st, now)
	return nil
}

// addresses returns where the front door listens.
func addresses(s status.Supervisor) string {
	all := strings.Join(s.Listen, " ")
	if len(s.ListenTLS) > 0 {
		all += ", TLS " + strings.Join(s.ListenTLS, " ")
	}
	return all
}

// ordinary is what status says of how memory is shared where there is nothing to explain.
var ordinary = []string{"", "on", "on (project)", "off", "one worker"}

// printShared prints what forking saves, and for each site why its workers are not
// forked, or what limits it.
func printShared(w io.Writer, st status.Status, now time.Time) {
	var saved int64
	for _, site := range st.Sites {
		saved += site.Memory.Saved
		if !slices.Contains(ordinary, site.Preload) {
			fmt.Fprintf(w, "\n%s: preload: %s\n", site.Name, site.Preload)
		}
		for _, problem := range site.Warmup {
			fmt.Fprintf(w, "\n%s: warm-up: %s\n", site.Name, problem)
		}
		if site.SelfRoll != nil {
			fmt.Fprintf(w, "\n%s: %s\n", site.Name, selfRoll(*site.SelfRoll, now))
		}
	}
	if saved > 0 {
		fmt.Fprintf(w, "saved       %s by forking\n", mb(saved))
	}
}

// selfRoll returns that a site has replaced its workers by itself, and what that has saved.
func selfRoll(r status.SelfRoll, now time.Time) string {
	line := fmt.Sprintf("workers replaced at %s, to share what visitors ask for most", clock(r.At, now))
	switch {
	case r.Saved == nil:
		return line
	case *r.Saved < 0:
		return line + ", which costs " + mb(-*r.Saved)
	}
	return line + ", which saves " + mb(*r.Saved)
}

// printMerging prints what the kernel does for merge_pages; m is nil without that key.
func printMerging(w io.Writer, m *status.Merging) {
	switch {
	case m == nil:
	case m.Problem != "":
		fmt.Fprintf(w, "merge_pages %s\n", m.Problem)
	case !m.On:
		fmt.Fprintln(w, "merge_pages the kernel's switch was turned off by others")
	default:
		fmt.Fprintf(w, "merged      %s of these processes; the whole machine saves %s; ksmd has used %.1f s of processor time\n",
			mb(m.Merged), mb(m.Saved), m.Ksmd)
	}
}

// printRefused prints how many requests the front door refused, by status.
func printRefused(w io.Writer, refused map[int]int64) {
	var counts []string
	for _, status := range slices.Sorted(maps.Keys(refused)) {
		counts = append(counts, fmt.Sprintf("%d × %d", refused[status], status))
	}
	if len(counts) > 0 {
		fmt.Fprintf(w, "refused     %s, see multisite.access.log\n", strings.Join(counts, ", "))
	}
}

// printProblems prints for each site the last failure, and the worker that exited last.
func printProblems(w io.Writer, st status.Status, now time.Time) {
	var exits []string
	if f := st.Supervisor.Failed; f != nil {
		fmt.Fprintf(w, "\n%s at %s failed and changed nothing: %s\n", f.What, clock(f.At, now), f.Error)
	}
	for _, site := range st.Sites {
		if f := site.Failed; f != nil {
			fmt.Fprintf(w, "\n%s: serves generation %d; %s at %s failed: %s\n", site.Name, site.Generation, f.What, clock(f.At, now), f.Error)
		}
		if site.LastError != "" {
			fmt.Fprintf(w, "\n%s: %s\n", site.Name, site.LastError)
		}
		if site.LastExit != "" {
			exits = append(exits, cut("last exit: "+site.LastExit, tableWidth))
		}
		exits = append(exits, taskExits(site)...)
	}
	if len(exits) > 0 {
		fmt.Fprintf(w, "\n%s\n", strings.Join(exits, "\n"))
	}
}

// clock formats a time of day, with the date unless it is today.
func clock(at, now time.Time) string {
	at, now = at.Local(), now.Local()
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format("15:04")
	}
	return at.Format("2006-01-02 15:04")
}

// age formats how long something has lasted.
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
