package supervisor

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/multisite/multisite/supervisor/certs"
	"github.com/multisite/multisite/supervisor/watch"
)

// certFiles reads certificates again when their files change.
type certFiles struct {
	certs   *certs.Certs
	watcher *watch.Watcher
}

// refresh makes the watcher watch the files that there are now.
func (f *certFiles) refresh() {
	paths := f.certs.Paths()
	var dirs []string
	for _, path := range paths {
		dirs = append(dirs, filepath.Dir(path))
		if real, err := filepath.EvalSymlinks(path); err == nil && real != path { // certbot changes a link to a file
			paths, dirs = append(paths, real), append(dirs, filepath.Dir(real))
		}
	}
	slices.Sort(dirs)
	f.watcher.Set(map[string]watch.Subject{"certificates": {
		Dirs: slices.Compact(dirs), Matters: func(path string) bool { return slices.Contains(paths, path) },
	}})
}

// run reads again what changes, until ctx ends.
func (f *certFiles) run(ctx context.Context) {
	f.certs.ReadAgain() // what has changed before it was watched
	f.watcher.Run(ctx, func(context.Context, []string) {
		f.certs.ReadAgain()
		f.refresh() // a link may lead to another file now
	})
}
