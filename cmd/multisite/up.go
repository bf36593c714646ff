package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

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
			"With -d the supervisor runs in the background; the command returns when every site\n" +
			"is ready (exit 0), or reports those that are not (exit 1; the others are served).\n" +
			"With --demo, a sites.toml with two small sites is written first.",
		Args: exactly(0, "up [-d] [--watch] [--demo]"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			inherited, err := supervisor.Inherit()
			if err != nil {
				return err
			}
			if demo && inherited == nil {
				if err := c.writeDemo(); err != nil {
					return err
				}
			}
			switch {
			case inherited != nil && reportFD > 0: // the outcome was reported before the upgrade
				return c.up(cmd.Context(), watch, nil, inherited, func(string, error) {})
			case inherited != nil:
				return c.up(cmd.Context(), watch, escaped(os.Stderr), inherited, func(string, error) {})
			case detach:
				return c.upDetached(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), watch)
			case reportFD > 0:
				return c.upReporting(cmd.Context(), watch, os.NewFile(uintptr(reportFD), "report"))
			}
			return c.up(cmd.Context(), watch, escaped(os.Stderr), nil, func(summary string, err error) {
				fmt.Fprint(cmd.OutOrStdout(), summary)
				report(os.Stderr, err)
			})
		},
	}
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "run in the background, and return when every site is ready")
	cmd.Flags().BoolVar(&watch, "watch", false, "for development: reload a site whenever its code changes")
	cmd.Flags().BoolVar(&demo, "demo", false, "write a sites.toml with two small sites that need nothing but this program, and start them")
	cmd.Flags().IntVar(&reportFD, "report-fd", 0, "descriptor on which the background process reports to up -d")
	_ = cmd.Flags().MarkHidden("report-fd") // the flag exists
	return cmd
}

// up runs the supervisor until it is stopped. One SIGTERM, SIGINT or `multisite down`
// stops it when the requests in flight are answered, a second signal at once.
// ready is called when every site is ready, or with the errors of those that are not.
// inherited is what the program before an upgrade passed on, or nil.
func (c *cli) up(ctx context.Context, watch bool, console io.Writer, inherited *supervisor.Inheritance, ready func(summary string, err error)) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if inherited == nil {
		if err := c.refuseSecond(ctx); err != nil {
			return err
		}
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	from := startedFrom(program)
	if err := c.makeAbsolute(); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil { // the directory where the command was started may be removed
		return err
	}
	listeners, err := systemd.Listeners()
	if err != nil {
		return err
	}
	s, err := supervisor.New(supervisor.Options{
		Load: c.load, Version: version(), Program: program, Console: console, Watch: watch, Listeners: listeners,
		Args: c.argsAfterUpgrade(from), Takeover: c.takeoverArgs(), From: from, Inherited: inherited,
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
			ready(summary(ctx, cfg, s), err)
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
	case <-time.After(time.Second): // ready blocks, because nobody reads what it prints
	}
	<-obeyed
	return err
}

// refuseSecond returns an error if a supervisor runs this sites.toml already. The lock in
// the state directory does not always show that: the running supervisor's may lie in
// another release directory.
func (c *cli) refuseSecond(ctx context.Context) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	about, err := client.About(ctx)
	if err != nil { // most likely none is running; the lock decides
		return nil
	}
	return &statedir.RunningError{PID: strconv.Itoa(about.PID), StateDir: about.StateDir}
}

// untilSignals returns a context that is cancelled by the first SIGTERM or SIGINT, and
// one that is cancelled by the second.
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
	var cancelled bool
	return ctx, force, func() {
		if !cancelled {
			cancelled = true
			signal.Stop(signals)
			close(done)
			stop()
		}
	}
}

// obey carries out signals: SIGHUP does what `multisite reload` does, SIGUSR2 what
// `multisite upgrade` does, and SIGUSR1 opens the log files again after they were moved
// away. The results are in the log.
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

// summary returns what `up` prints when every site has its workers or has failed.
func summary(ctx context.Context, cfg *config.Config, s *supervisor.Supervisor) string {
	var b bytes.Buffer
	states := s.Status(ctx)
	for i, site := range cfg.Sites {
		st := states.Sites[i]
		fmt.Fprintf(&b, "%-20s %-40s %s, %d of %d workers\n",
			site.Name, states.Sites[i].URL, st.State, st.Processes.Ready, st.Processes.Desired)
	}
	for _, site := range states.Sites {
		for _, problem := range site.Warmup {
			fmt.Fprintf(&b, "%s: warm-up: %s\n", site.Name, problem)
		}
	}
	for _, site := range cfg.Sites {
		if site.Kind != config.Apps || site.Account != nil { // a database of another user is not opened here
			continue
		}
		has, err := apps.HasSuperuser(ctx, site.Settings, apps.Options{StateDir: cfg.StateDir})
		if err == nil && !has {
			fmt.Fprintf(&b, "nobody can log in to /admin/ yet: multisite manage %s createsuperuser --username NAME\n", site.Name)
			break // once is enough: usually the sites share their users
		}
	}
	return b.String()
}
