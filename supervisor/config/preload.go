package config

import (
	"fmt"
	"strings"
)

// Preload says how a Python site's workers share memory. What the switches do,
// why it is safe and what it gains stands in worker/wsgi.
type Preload struct {
	Mode         string   // "auto", "true" or "false"
	Warmup       []string // paths requested before the first fork
	WarmupStrict bool     // a warm-up request that raises keeps the site from starting
	GCFreeze     bool
	SealHeap     bool
	RelocateCode bool
	Immortal     string // "auto", "on" or "off"
}

func defaultPreload() Preload {
	return Preload{Mode: "auto", Warmup: []string{"/"}, GCFreeze: true, SealHeap: true, RelocateCode: true, Immortal: "auto"}
}

// preloadKeys are the keys that only a Python site may have.
var preloadKeys = []string{"preload", "warmup", "warmup_strict", "gc_freeze", "seal_heap", "relocate_code", "immortal"}

func (d *draft) readPreload() {
	t := d.table
	switch v := t.Value("preload").(type) {
	case nil:
	case bool:
		d.Preload.Mode = fmt.Sprint(v)
	case string:
		if v != "auto" {
			t.Problem("preload", fmt.Sprintf("%q is not a way to preload", v), `write true, false or "auto"`)
		}
		d.Preload.Mode = v
	default:
		t.WrongType("preload", `true, false or "auto"`)
	}
	if t.Strings("warmup", &d.Preload.Warmup) {
		for _, path := range d.Preload.Warmup {
			if !strings.HasPrefix(path, "/") {
				t.Problem("warmup", fmt.Sprintf("%q is not a path", path), `a path begins with "/"`)
			}
		}
	}
	t.Bool("warmup_strict", &d.Preload.WarmupStrict)
	t.Bool("gc_freeze", &d.Preload.GCFreeze)
	t.Bool("seal_heap", &d.Preload.SealHeap)
	t.Bool("relocate_code", &d.Preload.RelocateCode)
	if t.String("immortal", &d.Preload.Immortal) {
		switch d.Preload.Immortal {
		case "auto", "on", "off":
		default:
			t.Problem("immortal", fmt.Sprintf("%q is not a choice", d.Preload.Immortal), `write "auto", "on" or "off"`)
		}
	}
}
