package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/multisite/multisite/apps/tomlfile"
)

// Compress says what the front door compresses. The zero value is static files alone.
type Compress struct {
	Nothing bool
	Answers bool     // also answers of the site's workers
	Types   []string // of those: "text/html" or "text/*"; nil: all that become smaller
}

// readStatic reads what the front door serves by itself: false is nothing, true is
// what Django says, and a table is that and more.
func (d *siteDraft) readStatic() {
	switch on := d.table.Value("static").(type) {
	case nil:
		return
	case bool:
		if d.NoStatic = !on; d.NoStatic {
			clear(d.Static)
		}
		return
	}
	if !d.table.IsTable("static") {
		d.table.WrongType("static", "a table, true or false")
		return
	}
	d.NoStatic = false
	readPaths(d.table.Table("static"), d.Static, func(t *tomlfile.Table, name, path string) (isFile bool) {
		info, err := os.Stat(path)
		switch slash := strings.HasSuffix(name, "/"); {
		case err != nil: // it may be made by the first upload
			return !slash
		case info.IsDir():
			return false
		case slash:
			t.Problem(name, "not a directory: "+path, "a file has no slash at the end of its URL")
		case !info.Mode().IsRegular():
			t.Problem(name, "neither a directory nor a file: "+path, "")
		}
		return true
	})
}

// readSendfile reads the directories of X-Accel-Redirect and X-Sendfile.
func (d *siteDraft) readSendfile() {
	if d.table.Value("sendfile") == nil {
		return
	}
	if !d.table.IsTable("sendfile") {
		d.table.WrongType("sendfile", "a table")
		return
	}
	readPaths(d.table.Table("sendfile"), d.Sendfile, func(t *tomlfile.Table, name, path string) bool {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			t.Problem(name, "not a directory: "+path, "")
		}
		return false
	})
}

// readPaths reads a table of paths by URL prefix into to. isFile checks a path, and reports
// whether its prefix has no slash at the end.
func readPaths(t *tomlfile.Table, to map[string]string, isFile func(t *tomlfile.Table, name, path string) bool) {
	own := map[string]bool{}
	for _, name := range t.Names() {
		var path string
		if !t.Path(name, &path) {
			continue
		}
		file := isFile(t, name, path)
		prefix, ok := urlPrefix(name)
		switch {
		case !ok || prefix == "":
			t.Problem(name, "not a URL prefix", `write one such as "/static/"`)
		case own[prefix]:
			t.Problem(name, "this URL prefix is listed twice", "")
		}
		own[prefix] = true
		delete(to, prefix)
		delete(to, prefix+"/")
		if !file {
			prefix += "/"
		}
		to[prefix] = path
	}
}

func (d *siteDraft) readIndex() {
	if !d.table.String("index", &d.Index) {
		return
	}
	if strings.ContainsAny(d.Index, "/\x00") || strings.HasPrefix(d.Index, ".") {
		d.table.Problem("index", fmt.Sprintf("%q is not the name of a file that is served", d.Index), `write one such as "index.html"`)
	}
}

var mediaType = regexp.MustCompile(`^[a-z0-9!#$&^_.+-]+/([a-z0-9!#$&^_.+-]+|\*)$`)

func (d *siteDraft) readCompress() {
	switch on := d.table.Value("compress").(type) {
	case nil:
		return
	case bool:
		d.Compress = Compress{Nothing: !on, Answers: on}
		return
	case []any:
	default:
		d.table.WrongType("compress", "true, false or a list of media types")
		return
	}
	items, ok := d.table.Items("compress")
	if !ok {
		return
	}
	d.Compress = Compress{Answers: len(items) > 0}
	for _, item := range items {
		name := strings.ToLower(item.Value)
		switch {
		case !mediaType.MatchString(name):
			d.table.ProblemAt(item.Position, "compress", fmt.Sprintf("%q is not a media type", item.Value), `write one such as "text/html" or "text/*"`)
		case name == "text/event-stream":
			d.table.ProblemAt(item.Position, "compress", "events are never compressed", "")
		}
		d.Compress.Types = append(d.Compress.Types, name)
	}
}
