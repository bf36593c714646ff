package main

import (
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/status"
)

func TestPrintMerging(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		merging *status.Merging
		want    string
	}{
		{nil, ""},
		{&status.Merging{On: true, Merged: 61 << 20, Saved: 58 << 20, Ksmd: 3.14},
			"merged      61.0 MB of these processes; the whole machine saves 58.0 MB; ksmd\n            has used 3.1 s of processor time\n"},
		{&status.Merging{Problem: "process 7 (qemu) of user 64055 merges its pages, too"},
			"merge_pages process 7 (qemu) of user 64055 merges its pages, too\n"},
		{&status.Merging{}, "merge_pages the kernel's switch was turned off by others\n"},
	} {
		var out strings.Builder
		if printMerging(newDisplay(&out), test.merging); out.String() != test.want {
			t.Errorf("%+v: printed %q, want %q", test.merging, out.String(), test.want)
		}
	}
}
