package config

import (
	"cmp"
	_ "embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/multisite/multisite/apps/tomlfile"
)

//go:embed demo.toml
var demo string

// Demo returns a sites.toml with two sites of the built-in Go apps, which need nothing
// but this program. It is the same as sites.toml at the top of the repository.
func Demo() []byte { return []byte(demo) }

// Load reads the sites.toml at path and all it includes. The error is
// tomlfile.Problems, which has every mistake.
func Load(path string) (*Config, error) {
	file, err := read(path)
	if err != nil {
		return nil, err
	}
	return load(path, file)
}

// LoadSound is Load for a check: where only some sites have mistakes, it returns the others
// beside the error.
func LoadSound(path string) (*Config, error) {
	file, err := read(path)
	if err != nil {
		return nil, err
	}
	l := newLoader(path, file)
	problems := l.load()
	l.config.Sites = soundSites(l.config.Sites, problems)
	return l.config, problems.Err()
}

// soundSites returns the sites in which no problem lies; none if one lies elsewhere.
func soundSites(sites []*Site, problems tomlfile.Problems) []*Site {
	ill := map[*Site]bool{}
	for _, p := range problems {
		var in *Site // the last one that begins before the problem
		for _, s := range sites {
			if s.Position.File == p.File && s.Position.Line <= p.Line && (in == nil || s.Position.Line > in.Position.Line) {
				in = s
			}
		}
		if in == nil {
			return nil
		}
		ill[in] = true
	}
	return slices.DeleteFunc(slices.Clone(sites), func(s *Site) bool { return ill[s] })
}

func read(path string) (*tomlfile.File, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, tomlfile.Problems{{
			Position: tomlfile.Position{File: path},
			Message:  "no such file",
			Hint:     "write one, or name another with -c FILE; multisite up --demo writes one of two small sites",
		}}
	}
	return tomlfile.Read(path)
}

// Parse is Load for a file with the content data. Relative paths in it start at the
// directory of path.
func Parse(path string, data []byte) (*Config, error) {
	file, err := tomlfile.Parse(path, data)
	if err != nil {
		return nil, err
	}
	return load(path, file)
}

// loader is one reading of sites.toml.
type loader struct {
	config   *Config
	path     string            // of sites.toml as the user wrote it, for messages
	files    []*tomlfile.File  // sites.toml and what it includes
	problems tomlfile.Problems // of files that could not be read
	defaults *siteDraft        // [defaults]
	drafts   []*siteDraft      // in the order of the files
	search   []string          // the directories of PATH
}

func load(path string, file *tomlfile.File) (*Config, error) {
	l := newLoader(path, file)
	if err := l.load().Err(); err != nil {
		return nil, err
	}
	return l.config, nil
}

func newLoader(path string, file *tomlfile.File) *loader {
	return &loader{
		config: &Config{Path: filepath.Join(file.Dir(), filepath.Base(path)), Dir: file.Dir()},
		path:   path,
		files:  []*tomlfile.File{file},
		search: filepath.SplitList(os.Getenv("PATH")),
	}
}

// load reads everything, and returns all mistakes.
func (l *loader) load() tomlfile.Problems {
	top := l.files[0].Root()
	l.defaults = newDraft(l.config.Dir)
	l.defaults.readDefaults(top.Table("defaults"))
	l.readTopKeys(defaultsTable(topKeys))
	l.readTopKeys(top)
	l.sites(top.Table("site"))
	l.include(top)
	l.finish()
	return l.allProblems()
}

// allProblems is called last: only then is it known which keys no code has asked for.
func (l *loader) allProblems() tomlfile.Problems {
	all := l.problems
	for _, file := range l.files {
		all = append(all, file.Problems()...)
	}
	if len(all) == 0 && len(l.drafts) == 0 {
		all = append(all, tomlfile.Problem{
			Position: tomlfile.Position{File: l.path},
			Message:  "no site",
			Hint:     `write a [site.NAME] with a server_name, and settings = "project.settings"`,
		})
	}
	return all
}

// include reads the files that include names, each once, however many patterns match it.
func (l *loader) include(top *tomlfile.Table) {
	patterns, _ := top.Items("include") // any other type was reported when the key was read
	seen := map[string]bool{}
	for _, pattern := range patterns {
		for _, path := range l.matches(top, pattern) {
			if !seen[path] {
				seen[path] = true
				l.includeFile(top, pattern.Position, path)
			}
		}
	}
}

// matches returns the files that one pattern matches. A pattern without a wildcard
// names a file that must exist.
func (l *loader) matches(top *tomlfile.Table, pattern tomlfile.Item) []string {
	glob := pattern.Value
	if !filepath.IsAbs(glob) {
		glob = filepath.Join(quoteGlob(filepath.Dir(l.path)), glob)
	}
	paths, err := filepath.Glob(glob)
	if err != nil {
		top.ProblemAt(pattern.Position, "include", `"`+pattern.Value+`" is not a valid pattern`, "")
		return nil
	}
	if len(paths) == 0 && !strings.ContainsAny(pattern.Value, `*?[\`) {
		top.ProblemAt(pattern.Position, "include", "no such file: "+glob, "")
	}
	return paths
}

func (l *loader) includeFile(top *tomlfile.Table, at tomlfile.Position, path string) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() { // a read of a pipe might never return
		top.ProblemAt(at, "include", "not a file: "+path, "")
		return
	}
	if main, err := os.Stat(l.path); err == nil && os.SameFile(main, info) {
		top.ProblemAt(at, "include", "a file cannot include itself", "")
		return
	}
	file, err := tomlfile.Read(path)
	if err != nil {
		problems, _ := errors.AsType[tomlfile.Problems](err)
		l.problems = append(l.problems, problems...)
		return
	}
	l.files = append(l.files, file)
	root := file.Root()
	for _, name := range root.Names() {
		if name != "site" {
			root.Problem(name, "an included file may only hold [site.NAME]", "")
		}
	}
	l.sites(root.Table("site"))
}

var siteName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// sites reads each [site.NAME] of one file.
func (l *loader) sites(table *tomlfile.Table) {
	first := len(l.drafts)
	for _, name := range table.Names() {
		if _, ok := table.Value(name).(map[string]any); !ok {
			table.Problem(name, "belongs to no site", "write it under [site.NAME]")
			continue
		}
		d := l.defaults.inherit(name, table.Table(name))
		switch {
		case !siteName.MatchString(name):
			table.Problem(name, "not a name for a site", `use letters, digits, "-", "_" and "."; start with none of "-" and "."`)
		case name == "multisite", strings.HasSuffix(name, ".access"):
			table.Problem(name, "this name is reserved for log files", `use another name: multisite.log is the supervisor's, NAME.access.log the access log of a site`)
		}
		for _, other := range l.drafts[:first] {
			if other.Name == name {
				table.Problem(name, "there is a site of this name at "+other.Position.String(), "")
			}
		}
		d.readSite()
		l.drafts = append(l.drafts, d)
	}
	slices.SortStableFunc(l.drafts[first:], func(a, b *siteDraft) int {
		return cmp.Compare(a.Position.Line, b.Position.Line)
	})
}

// finish does what needs all of a site, or all sites, to be known.
func (l *loader) finish() {
	for _, d := range l.drafts {
		l.finishTLS(d)
	}
	l.checkNames()
	for _, d := range l.drafts {
		l.finishSite(d)
		site := d.Site // a copy: the draft refers to the file that it was read from
		site.MergePages = l.config.MergePages && site.Kind == WSGI
		l.config.Sites = append(l.config.Sites, &site)
	}
	slices.SortFunc(l.config.Sites, func(a, b *Site) int { return cmp.Compare(a.Name, b.Name) })
	l.checkMerging()
}

func quoteGlob(dir string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(dir)
}
