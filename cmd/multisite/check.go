package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/apps"
	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor"
	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/warnings"
)

func (c *cli) checkCommand() *cobra.Command {
	var noImport bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check sites.toml and that every site's code loads",
		Long: "Check sites.toml, the settings files that it names, and that the code of every\n" +
			"Python site loads in its own interpreter and environment. A running supervisor is\n" +
			"not affected.",
		Args: atMost(1, "check [FILE] [--no-import]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				c.configPath = args[0]
			}
			path, _ := c.path()
			cfg, err := config.LoadSound(path)
			if err != nil {
				if cfg != nil && !noImport {
					report(os.Stderr, err)
					_ = checkImports(cmd.Context(), cfg) // it has reported them
					return &exitError{2}
				}
				return err
			}
			if err := supervisor.CheckProcesses(cfg); err != nil {
				return err
			}
			if err := checkSettings(cfg); err != nil {
				return err
			}
			problems, warned := supervisor.CheckCertificates(cfg)
			if err := problems.Err(); err != nil {
				return err
			}
			if !noImport {
				if err := checkImports(cmd.Context(), cfg); err != nil {
					return err
				}
			}
			for _, warning := range append(warnings.Of(cfg), warned...) {
				fmt.Fprintln(cmd.ErrOrStderr(), "multisite: warning:", warning)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: no mistakes (%s)\n", path, countSites(len(cfg.Sites)))
			return nil
		},
	}
	cmd.Flags().BoolVar(&noImport, "no-import", false, "do not load the code of Python sites")
	return cmd
}

// countSites says how many sites there are.
func countSites(n int) string {
	if n == 1 {
		return "1 site"
	}
	return strconv.Itoa(n) + " sites"
}

// checkSettings checks the settings files of all Go sites.
func checkSettings(cfg *config.Config) error {
	var all tomlfile.Problems
	for _, site := range cfg.Sites {
		if site.Kind != config.Apps {
			continue
		}
		err := apps.Check(site.Settings)
		var problems tomlfile.Problems
		if errors.As(err, &problems) {
			all = append(all, problems...)
		} else if err != nil {
			return err
		}
	}
	return all.Err()
}

// checkImports loads every Python site once and reports each that fails.
func checkImports(ctx context.Context, cfg *config.Config) error {
	code := 0
	for _, err := range supervisor.Check(ctx, cfg) {
		var e *control.Error
		if errors.As(err, &e) {
			e.Usage = true
			if strings.HasPrefix(e.Hint, "multisite logs ") { // nothing was logged
				e.Hint = ""
			}
		}
		code = max(code, report(os.Stderr, err))
	}
	if code != 0 {
		return &exitError{code}
	}
	return nil
}
