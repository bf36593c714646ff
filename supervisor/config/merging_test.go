package config

import (
	"os"
	"strings"
	"testing"
)

func TestMergePages_IsOfTheWholeFile(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		text := blog
		if on {
			text = "merge_pages = true\n" + blog
		}
		if c := mustLoad(t, project(t), text); c.MergePages != on || c.Sites[0].MergePages != on {
			t.Errorf("got %v, and %v for the site, want %v", c.MergePages, c.Sites[0].MergePages, on)
		}
	}
}

// TestMergePages_OneUser: a user must not find out what is in the memory of another.
func TestMergePages_OneUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("not root: no site is given to another user here")
	}
	own := "user = 'nobody'\n[site.own]\nserver_name = 'own'\nsettings = 'project.own'\n"
	dir := publicProject(t)
	_, err := Parse(dir+"/sites.toml", []byte("merge_pages = true\n"+blog+own))
	if want := "merge_pages: sites of different users would share pages: blog and own"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	mustLoad(t, dir, "merge_pages = true\n"+blog+own+"user = 'nobody'\n")
}
