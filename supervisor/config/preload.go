package config

import (
	"fmt"
	"strings"
)

// Preload says how the workers of a Python site share memory. Package wsgi says what
// the switches do, why they are safe and what they save. A handover has the names of
// these fields: they must not change.
type Preload struct {
	// Mode is "auto", "true" or "false".
	Mode string `toml:"preload" type:"true, false or \"auto\"" default:"auto"`
	// Warmup are the paths that are requested before the first fork, or "auto" alone: see
	// LearnsWarmup.
	Warmup []string `toml:"warmup" type:"\"auto\", or list of paths" default:"auto"`
	// WarmupStrict reports whether a warm-up request that raises keeps the site from starting.
	WarmupStrict bool `toml:"warmup_strict" default:"false"`
	GCFreeze     bool `toml:"gc_freeze" default:"true"`
	SealHeap     bool `toml:"seal_heap" default:"true"`
	RelocateCode bool `toml:"relocate_code" default:"true"`
	// Immortal is "auto", "on" or "off".
	Immortal string `toml:"immortal" default:"auto"`
}

// auto stands for all paths in Warmup.
const auto = "auto"

// LearnsWarmup reports whether visitors decide which paths are requested before the first
// fork.
func (p Preload) LearnsWarmup() bool { return len(p.Warmup) == 1 && p.Warmup[0] == auto }

func (d *siteDraft) readPreload() {
	t := d.table
	switch v := t.Value("preload").(type) {
	case nil:
	case bool:
		d.Preload.Mode = fmt.Sprint(v)
	case string:
		if v != "auto" {
			t.Problem("preload", fmt.Sprintf("%q is not a choice", v), `write true, false or "auto"`)
		}
		d.Preload.Mode = v
	default:
		t.WrongType("preload", `true, false or "auto"`)
	}
}

func (d *siteDraft) readWarmup() {
	if !d.table.Strings("warmup", &d.Preload.Warmup) {
		return
	}
	for _, path := range d.Preload.Warmup {
		switch {
		case path == auto && !d.Preload.LearnsWarmup():
			d.table.Problem("warmup", `"auto" stands alone`, `write warmup = "auto", or paths only`)
		case path != auto && !strings.HasPrefix(path, "/"):
			d.table.Problem("warmup", fmt.Sprintf("%q is not a path", path), `a path begins with "/"; or write "auto"`)
		}
	}
}

func (d *siteDraft) readImmortal() {
	if !d.table.String("immortal", &d.Preload.Immortal) {
		return
	}
	switch d.Preload.Immortal {
	case "auto", "on", "off":
	default:
		d.table.Problem("immortal", fmt.Sprintf("%q is not a choice", d.Preload.Immortal), `write "auto", "on" or "off"`)
	}
}
