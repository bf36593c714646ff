package ksm

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// kernel returns a kernel with these files below /proc and /sys/kernel/mm/ksm, and the
// switch of a supervisor.
func kernel(t *testing.T, files map[string]string) *Switch {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &Switch{Kernel: Kernel{Sys: filepath.Join(dir, "sys"), Proc: filepath.Join(dir, "proc")}, Marker: filepath.Join(dir, "marker")}
}

const bootID = "proc/sys/kernel/random/boot_id"

func TestSwitch_OffAgain(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"0\n", "2\n"} {
		s := kernel(t, map[string]string{"sys/run": before, bootID: "a"})
		if changed, err := s.TurnOn(); !changed || err != nil || !s.On() {
			t.Errorf("turn on: %v, %v, on %v", changed, err, s.On())
		}
		if changed, err := s.TurnOn(); changed || err != nil {
			t.Errorf("turn on once more: %v, %v", changed, err)
		}
		if changed, err := s.TurnOff(); !changed || err != nil || s.On() {
			t.Errorf("turn off: %v, %v, on %v", changed, err, s.On())
		}
		if _, err := os.Stat(s.Marker); err == nil {
			t.Error("the marker stays")
		}
	}
}

// TestSwitch_NotOurs: what others have turned on stays on.
func TestSwitch_NotOurs(t *testing.T) {
	t.Parallel()
	s := kernel(t, map[string]string{"sys/run": "1\n", bootID: "a"})
	for _, f := range []func() (bool, error){s.TurnOn, s.TurnOff} {
		if changed, err := f(); changed || err != nil || !s.On() {
			t.Errorf("changed %v, %v, on %v", changed, err, s.On())
		}
	}
}

// TestSwitch_AfterABoot: after a start of the machine the switch was turned on by others.
func TestSwitch_AfterABoot(t *testing.T) {
	t.Parallel()
	s := kernel(t, map[string]string{"sys/run": "1\n", bootID: "b", "marker": "a"})
	if changed, err := s.TurnOff(); changed || err != nil || !s.On() {
		t.Errorf("changed %v, %v, on %v", changed, err, s.On())
	}
}

// TestSwitch_TwoSupervisors: the switch is on as long as one of them wants it, whoever has
// turned it on, and also if one of them was killed or replaced itself.
func TestSwitch_TwoSupervisors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ first, second string }{
		"the first one goes first":            {"off", "off"},
		"it is killed":                        {"killed", "off"},
		"it is upgraded, and then goes first": {"upgraded off", "off"},
		"it is upgraded, and the other is":    {"upgraded", "upgraded off"},
	} {
		t.Run(name, func(t *testing.T) {
			a := kernel(t, map[string]string{"sys/run": "0\n", bootID: "a"})
			b := &Switch{Kernel: a.Kernel, Marker: a.Marker + "-of-b"}
			if changed, err := a.TurnOn(); !changed || err != nil {
				t.Fatal(changed, err)
			}
			if changed, err := b.TurnOn(); changed || err != nil {
				t.Fatal(changed, err)
			}
			play(t, a, c.first)
			if !a.On() {
				t.Fatal("it is off, and the second one wants it on")
			}
			play(t, b, c.second)
			if c.first == "upgraded" {
				if !a.On() {
					t.Fatal("it is off, and the first one wants it on")
				}
				play(t, a, "off")
			}
			if a.On() {
				t.Error("it stays on")
			}
			for _, marker := range []string{a.Marker, b.Marker} {
				if _, err := os.Stat(marker); err == nil && c.first != "killed" {
					t.Errorf("%s stays", marker)
				}
			}
		})
	}
}

// play lets become of a supervisor what fate says.
func play(t *testing.T, s *Switch, fate string) {
	t.Helper()
	for _, step := range strings.Fields(fate) {
		switch step {
		case "killed":
			s.release()
		case "upgraded": // the kernel closes the file, and the new image asks again
			s.release()
			if changed, err := s.TurnOn(); changed || err != nil {
				t.Error(changed, err)
			}
		case "off":
			if _, err := s.TurnOff(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestSwitch_NoKSM(t *testing.T) {
	t.Parallel()
	if _, err := kernel(t, nil).TurnOn(); err == nil || !strings.Contains(err.Error(), "this kernel cannot merge pages") {
		t.Error(err)
	}
}

func TestKernel_Counts(t *testing.T) {
	t.Parallel()
	k := kernel(t, map[string]string{
		"sys/pages_sharing":        "3\n",
		"proc/7/ksm_merging_pages": "5\n",
		"proc/8/stat":              "8 (ksmd) S 1 0 0 0 -1 2129984 0 0 0 0 900 900 0 0", // a program of that name
		"proc/9/stat":              "9 (ksmd) S 2 0 0 0 -1 2129984 0 0 0 0 20 130 0 0",
	}).Kernel
	if got := k.Saved(); got != 3*pageSize {
		t.Errorf("saved %d", got)
	}
	if got := k.Merged(7); got != 5*pageSize {
		t.Errorf("merged %d", got)
	}
	if got := k.KsmdSeconds(); got != 1.5 {
		t.Errorf("ksmd %v s", got)
	}
}

func TestKernel_OptedIn(t *testing.T) {
	t.Parallel()
	me := os.Getuid()
	for name, c := range map[string]struct {
		stat, merging string
		uid           int
		found         bool
	}{
		"another user by prctl":    {"ksm_merge_any: yes\nksm_mergeable: no\n", "0", me + 1, true},
		"another user by madvise":  {"ksm_merge_any: no\nksm_mergeable: yes\n", "0", me + 1, true},
		"another user has not":     {"ksm_merge_any: no\nksm_mergeable: no\n", "0", me + 1, false},
		"our own user":             {"ksm_merge_any: yes\nksm_mergeable: yes\n", "3", me, false},
		"an old kernel":            {"ksm_rmap_items 0\n", "3", me + 1, true},
		"an old kernel, not in it": {"", "0", me + 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			k := kernel(t, map[string]string{"proc/7/ksm_stat": c.stat, "proc/7/ksm_merging_pages": c.merging, "proc/7/comm": "qemu\n"}).Kernel
			want := ""
			if c.found {
				want = "process 7 (qemu) of user " + strconv.Itoa(me)
			}
			if got := k.OptedIn(c.uid); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}
