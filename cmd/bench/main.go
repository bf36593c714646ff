// Command bench measures multisite beside its peers, in one run, on loopback.
//
//	make bench BENCH=memory
//
// It builds multisite, copies the Django project of testdata to a temporary
// directory, and runs it under multisite and under every peer that is installed:
// Apache with mod_wsgi, nginx with uWSGI, gunicorn or granian, NGINX Unit. Rounds alternate
// (A B C A B C). Figures are medians with their spread. The result is Markdown on stdout
// and, with --json, a file. When it returns, all processes that it started have exited.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newRoot().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		stop()
		os.Exit(1)
	}
}

func newRoot() *cobra.Command {
	b := &bench{}
	root := &cobra.Command{
		Use:           "bench",
		Short:         "Measure multisite beside its peers",
		SilenceErrors: true, // main prints them
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	flags := root.PersistentFlags()
	flags.StringArrayVar(&b.pythons, "python", nil, "interpreter of the Django sites; memory and projects take several (default "+peersPython+", or "+defaultPython+")")
	flags.BoolVar(&b.quick, "quick", false, "small numbers, to see that it works: under 2 minutes")
	flags.IntVar(&b.rounds, "rounds", 0, "how often each contender is measured (default 5, reload 3, memory 1)")
	flags.StringVar(&b.binary, "multisite", "", "binary of multisite to measure (default: one that is built now)")
	flags.StringVar(&b.json, "json", "", "write the result to this file, too")
	root.AddCommand(b.memoryCommand(), b.projectsCommand(), b.scaleCommand(), b.throughputCommand(), b.latencyCommand(), b.reloadCommand(), b.sitesCommand())
	return root
}

// command returns a subcommand that fills a report.
func (b *bench) command(use, short string, measure func(context.Context, *report) error) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return b.run(cmd, use, measure)
		},
	}
}
