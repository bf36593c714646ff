package main

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestDescribeBuild(t *testing.T) {
	t.Parallel()
	const revision = "0123456789abcdef0123456789abcdef01234567"
	recorded := func(version string, settings ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{Main: debug.Module{Version: version}}
		for i := 0; i < len(settings); i += 2 {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: settings[i], Value: settings[i+1]})
		}
		return info
	}
	for _, tt := range []struct {
		name            string
		version, commit string // stamped
		info            *debug.BuildInfo
		want            buildInfo
	}{
		{"nothing is known", "", "", recorded(""), buildInfo{version: "devel"}},
		{"go run", "", "", recorded("(devel)"), buildInfo{version: "devel"}},
		{"go build in a checkout", "", "", recorded("(devel)", "vcs.revision", revision, "vcs.modified", "false"), buildInfo{"devel", "0123456789ab"}},
		{"with changes", "", "", recorded("v1.2.4-0.2026", "vcs.revision", revision, "vcs.modified", "true"), buildInfo{"v1.2.4-0.2026", "0123456789ab-dirty"}},
		{"go install of a version", "", "", recorded("v1.2.3"), buildInfo{version: "v1.2.3"}},
		{"make build", "v1.2.3", "abc-dirty", recorded("(devel)", "vcs.revision", revision), buildInfo{"v1.2.3", "abc-dirty"}},
		{"make build without a tag", "", "abc", recorded("(devel)"), buildInfo{"devel", "abc"}},
	} {
		if got := describeBuild(tt.version, tt.commit, tt.info); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if got := (buildInfo{version: "devel"}).String(); strings.Contains(got, "commit") {
		t.Errorf("an unknown commit is shown: %s", got)
	}
}

// TestVersion_MakeBuildStamps builds the program as make build does.
func TestVersion_MakeBuildStamps(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "multisite")
	build := exec.CommandContext(t.Context(), "make", "-C", "../..", "build", "BINARY="+program, "VERSION=v1.2.3", "COMMIT=0123456789ab-dirty")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	want := "multisite v1.2.3 (commit 0123456789ab-dirty, " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + ")\n"
	for _, arg := range []string{"version", "--version"} {
		out, err := exec.CommandContext(t.Context(), program, arg).Output()
		if err != nil || string(out) != want {
			t.Errorf("multisite %s: %q, %v, want %q", arg, out, err, want)
		}
	}
}
