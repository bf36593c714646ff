package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// make build sets these with -ldflags -X, where it knows them.
var (
	stampedVersion string
	stampedCommit  string
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit and the Go it was built with",
		Args:  exactly(0, "version"),
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), thisBuild())
		},
	}
}

// version returns the version of this program, or "devel" if it is not known.
func version() string { return thisBuild().version }

// buildInfo is what is known of how a program was built.
type buildInfo struct {
	version string // "devel" if it is not known
	commit  string // with "-dirty" if the files differed from it; "" if it is not known
}

// thisBuild describes this program: by what make build stamped, or else by what go
// build recorded.
func thisBuild() buildInfo {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return describeBuild(stampedVersion, stampedCommit, info)
}

func describeBuild(version, commit string, info *debug.BuildInfo) buildInfo {
	if main := info.Main.Version; main != "(devel)" {
		version = cmp.Or(version, main)
	}
	return buildInfo{version: cmp.Or(version, "devel"), commit: cmp.Or(commit, recordedCommit(info))}
}

// recordedCommit returns the commit that go build recorded, in the form of
// `git describe --dirty --abbrev=12`, or "".
func recordedCommit(info *debug.BuildInfo) string {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := settings["vcs.revision"]
	commit = commit[:min(12, len(commit))]
	if commit != "" && settings["vcs.modified"] == "true" {
		commit += "-dirty"
	}
	return commit
}

func (b buildInfo) String() string {
	commit := ""
	if b.commit != "" {
		commit = "commit " + b.commit + ", "
	}
	return fmt.Sprintf("multisite %s (%s%s %s/%s)", b.version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
