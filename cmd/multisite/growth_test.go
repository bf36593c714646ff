package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestUp_TakesTheDescriptorsItMayHave: the supervisor raises its own limit of open files,
// since the 1024 of a shell are too few. It does not raise that of its children: some
// programs close every possible descriptor at their start.
func TestUp_TakesTheDescriptorsItMayHave(t *testing.T) {
	t.Parallel()
	r := &running{
		t: t, out: &screen{}, log: &screen{}, wrap: []string{"sh", "-c", `ulimit -Sn 200 && ulimit -Hn 4000 && exec "$@"`, "sh"},
		dir: newDir(t, "listen = \"127.0.0.1:0\"\n[site.one]\nserver_name = \"one.example.com\"\nsettings = \"builtin:subdomain1\"\n"+
			"[site.one.service.sleeper]\ncommand = \"sleep 1000\"\n"),
	}
	r.start()
	t.Cleanup(r.finish)
	eventually(t, "the service", func() bool { return r.site("one").Services[0].PID != 0 })
	if soft, hard := openFilesLimit(t, r.pid); hard != 4000 || soft < hard-1 { // Go raises it to one less
		t.Errorf("multisite may open %d files, and up to %d; want 4000", soft, hard)
	}
	if soft, hard := openFilesLimit(t, r.site("one").Services[0].PID); soft != 200 || hard != 4000 {
		t.Errorf("its child may open %d files, and up to %d; want 200 and 4000", soft, hard)
	}
}

func openFilesLimit(t *testing.T, pid int) (soft, hard int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "Max open files")
	if _, err := fmt.Sscan(rest, &soft, &hard); err != nil {
		t.Fatal(err)
	}
	return soft, hard
}

// TestUp_UnmapsWhatOnlyTheStartHasUsed: most of a front door is the program's file, of which
// little runs later. That huge pages of it are not mapped any more shows that it was unmapped.
func TestUp_UnmapsWhatOnlyTheStartHasUsed(t *testing.T) {
	t.Parallel()
	r := up(t, "listen = \"127.0.0.1:0\"\n[site.one]\nserver_name = \"one.example.com\"\nsettings = \"builtin:subdomain1\"\n")
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", r.pid))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the program to be unmapped", func() bool {
		maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", r.pid))
		if err != nil {
			t.Fatal(err)
		}
		_, code, _ := strings.Cut(string(maps), " r-xp ")
		name, flags, _ := strings.Cut(code, "VmFlags:")
		flags, _, _ = strings.Cut(flags, "\n")
		return strings.Contains(name, program) && strings.Contains(flags, " nh")
	})
}
