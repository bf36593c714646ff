package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ReloadOn says which changes of files reload a site.
type ReloadOn struct {
	Code  bool     // a change of its code
	Touch []string // a new modification time of one of these files, absolute
}

const touchPrefix = "touch:"

func (d *siteDraft) readReloadOn() {
	t := d.table
	items, ok := t.Items("reload_on")
	if !ok {
		return
	}
	d.ReloadOn = ReloadOn{}
	for _, item := range items {
		path, touch := strings.CutPrefix(item.Value, touchPrefix)
		switch {
		case item.Value == "code":
			d.ReloadOn.Code = true
		case !touch:
			t.ProblemAt(item.Position, "reload_on", fmt.Sprintf("%q cannot be watched", item.Value), `write "code" or "touch:PATH"`)
		case path == "" || strings.HasSuffix(path, "/"):
			t.ProblemAt(item.Position, "reload_on", "there is no file after touch:", `write one such as "touch:reload.txt"`)
		default:
			file := t.Abs(path)
			if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() { // the file may be made later
				t.ProblemAt(item.Position, "reload_on", "no such directory: "+filepath.Dir(file), "")
			}
			if !slices.Contains(d.ReloadOn.Touch, file) {
				d.ReloadOn.Touch = append(d.ReloadOn.Touch, file)
			}
		}
	}
}
