package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/apps"
	"github.com/multisite/multisite/supervisor"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/statedir"
	"github.com/multisite/multisite/supervisor/systemd"
	"github.com/multisite/multisite/worker/process"
)

func (c *cli) upCommand() *cobra.Command {
	var detach, watch, demo bool
	var reportFD int
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start every site and serve",
		Long: "Start every site of sites.toml and serve, in the foreground.\n" +
			"With -d it goes on in the background; the command returns once every site is\n" +
			"ready (exit 0), or says which is not (exit 1; the others are served).\n" +
			"With --demo a sites.toml of two small sites is written first.",
		Args: exactly(0, "up [-d] [--watch] [--demo]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			left, err := supervisor.Inherit()
			if err != nil {
				return err
			}
			if demo && left == nil {
				if err := c.writeDemo(); err != nil {
					return err
				}
			}
			switch {
			case left != nil && reportFD > 0: // it was reported before the upgrade
				return c.up(cmd.Context(), watch, nil, left, func(string, error) {})
			case left != nil:
				return c.up(cmd.Context(), watch, escaped(os.Stderr), left, func(string, error) {})
			case detach:
				return c.upDetached(cmd.OutOrStdout(), watch)
			case reportFD > 0:
				return c.upReporting(cmd.Context(), watch, os.NewFile(uintptr(reportFD), "report"))
			}
			return c.up(cmd.Context(), watch, escaped(os.Stderr), nil, func(summary string, err error) {
				fmt.Fprint(cmd.OutOrStdout(), summary)
				report(os.Stderr, err)
			})
		},
	}
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "return once every site is ready, and go on in the background")
	cmd.Flags().BoolVar(&watch, "watch", false, "for development: reload every site whose code changes")
	cmd.Flags().BoolVar(&demo, "demo", false, "write a sites.toml of two small sites, which need nothing but this program, and start them")
	cmd.Flags().IntVar(&reportFD, "report-fd", 0, "descriptor on which the background process reports to up -d")
	_ = cmd.Flags().MarkHidden("report-fd") // it exists
	return cmd
}

// up runs the supervisor until it is told to end: by one SIGTERM, SIGINT or
// `multisite down` when the requests in flight are answered, by a second at once.
// settled is called when every site is ready, or with the error of those that are not.
// left is what an upgrade has left to it.
func (c *cli) up(ctx context.Context, watch bool, console io.Writer, left *supervisor.Inheritance, settled func(summary string, err error)) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if left == nil {
		if err := c.refuseSecond(ctx); err != nil {
			return err
		}
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	from := startedFrom(program)
	if err := c.settle(); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil { // where we were started may be removed
		return err
	}
	listeners, err := systemd.Listeners()
	if err != nil {
		return err
	}
	s, err := supervisor.New(supervisor.Options{
		Load: c.load, Version: version(), Program: program, Console: console, Watch: watch, Listeners: listeners,
		Args: c.argsAfterUpgrade(from), Takeover: c.takeoverArgs(), From: from, Inherited: left,
	})
	if err != nil {
		return explainListen(err)
	}
	ctx, force, cancel := untilSignals(ctx)
	defer cancel()
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		err := s.Ready(ctx)
		if ctx.Err() == nil {
			settled(summary(ctx, cfg, s), err)
		}
	}()
	requests := make(chan os.Signal, 1)
	signal.Notify(requests, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	process.UnblockSignals()
	obeyed := make(chan struct{})
	go func() {
		defer close(obeyed)
		obey(ctx, s, requests)
	}()
	err = s.Run(ctx, force)
	cancel()
	select {
	case <-waited:
	case <-time.After(time.Second): // nobody reads what settled has to say
	}
	<-obeyed
	return err
}

// refuseSecond finds the supervisor that runs already, where its lock would not: that is
// in its state directory, and may lie in another release than ours.
func (c *cli) refuseSecond(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	about, err := client.About(ctx)
	if err != nil { // none, most likely: the lock has the last word
		return nil
	}
	return &statedir.RunningError{PID: strconv.Itoa(about.PID), StateDir: about.StateDir}
}

// untilSignals returns a context that ends with the first SIGTERM or SIGINT, and
// one that ends with the second.
func untilSignals(parent context.Context) (ctx, force context.Context, cancel func()) {
	ctx, stop := context.WithCancel(parent)
	force, kill := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	done := make(chan struct{})
	go func() {
		for _, end := range []func(){stop, kill} {
			select {
			case <-signals:
				end()
			case <-done:
				return
			}
		}
	}()
	var ended bool
	return ctx, force, func() {
		if !ended {
			ended = true
			signal.Stop(signals)
			close(done)
			stop()
		}
	}
}

// obey does for each SIGHUP what `multisite reload` does, and for SIGUSR2 what
// `multisite upgrade` does. What came of it stands in the log. SIGUSR1 is for who has
// moved the log files away.
func obey(ctx context.Context, s *supervisor.Supervisor, requests chan os.Signal) {
	defer signal.Stop(requests)
	for {
		select {
		case request := <-requests:
			switch request {
			case syscall.SIGUSR1:
				s.ReopenLogs()
			case syscall.SIGUSR2:
				s.UpgradeAndLog(ctx)
			default:
				s.ReloadAndLog(ctx)
			}
		case <-ctx.Done():
			return
		}
	}
}

// summary is what `up` prints once the sites have settled.
func summary(ctx context.Context, cfg *config.Config, s *supervisor.Supervisor) string {
	var b bytes.Buffer
	states := s.Status(ctx)
	for i, site := range cfg.Sites {
		st := states.Sites[i]
		fmt.Fprintf(&b, "%-20s %-40s %s, %d of %d workers\n",
			site.Name, siteURL(site, s.Addrs()), st.State, st.Processes.Ready, st.Processes.Desired)
	}
	for _, site := range states.Sites {
		for _, problem := range site.Warmup {
			fmt.Fprintf(&b, "%s: warm-up: %s\n", site.Name, problem)
		}
	}
	for _, site := range cfg.Sites {
		if site.Kind != config.Apps || site.Account != nil { // a database of another user's is theirs to open
			continue
		}
		has, err := apps.HasSuperuser(ctx, site.Settings, apps.Options{StateDir: cfg.StateDir})
		if err == nil && !has {
			fmt.Fprintf(&b, "nobody can log in to /admin/ yet: multisite manage %s createsuperuser --username NAME\n", site.Name)
			break // the sites share their users
		}
	}
	return b.String()
}

func explainListen(err error) error {
	if errors.Is(err, unix.EADDRINUSE) {
		return &hintedError{err: err, hint: `another program listens there; "listen" in sites.toml sets the address`}
	}
	if errors.Is(err, unix.EACCES) {
		return &hintedError{err: err, hint: "ports below 1024 need root or CAP_NET_BIND_SERVICE"}
	}
	return err
}
