package config

import (
	"fmt"
	"os"
)

// UID returns the user that the site's processes run as.
func (s *Site) UID() int {
	if s.Account == nil {
		return os.Geteuid()
	}
	return s.Account.UID
}

// checkMerging refuses merge_pages if the sites have more than one user. A process learns
// by the time of a write whether any other one has a page of that content, and each can
// opt in, so this counts for Go sites too.
func (l *loader) checkMerging() {
	if !l.config.MergePages {
		return
	}
	for _, s := range l.config.Sites {
		if first := l.config.Sites[0]; s.UID() != first.UID() {
			l.files[0].Root().Problem("merge_pages",
				fmt.Sprintf("sites of different users would share pages: %s and %s", first.Name, s.Name),
				"each could find out what the other has in memory; give all sites one user, or leave merge_pages out")
			return
		}
	}
}
