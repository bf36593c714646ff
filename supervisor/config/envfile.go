package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/multisite/multisite/apps/tomlfile"
)

// readEnvFile reads env_file: NAME=VALUE lines, blank lines and # comments. Syntax that
// systemd, docker and dotenv understand differently is a mistake here. No message shows
// a value, which may be secret.
func (d *siteDraft) readEnvFile() {
	t := d.table
	var path string
	if !t.Path("env_file", &path) {
		return
	}
	d.EnvFile = path
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() { // a read of a pipe might never return
		t.Problem("env_file", "not a file: "+path, "")
		return
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Problem("env_file", "cannot be read: "+err.Error(), "")
		return
	}
	lines := map[string]int{}
	for i, line := range strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n") {
		name, value, problem, hint := envLine(line)
		if first := lines[name]; first > 0 && name != "" {
			problem = fmt.Sprintf("%s is set twice, first in line %d", name, first)
		}
		lines[name] = i + 1
		switch {
		case problem != "":
			t.ProblemAt(tomlfile.Position{File: path, Line: i + 1}, "env_file", problem, hint)
		case name != "":
			d.Env[name] = value
		}
	}
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// envLine returns the variable that a line sets; name is "" if it sets none.
func envLine(line string) (name, value, problem, hint string) {
	line = strings.TrimSpace(line)
	if line == "" || strings.HasPrefix(line, "#") {
		return "", "", "", ""
	}
	if !utf8.ValidString(line) || strings.Contains(line, "\x00") {
		return "", "", "not text in UTF-8", ""
	}
	name, value, ok := strings.Cut(line, "=")
	switch {
	case strings.HasPrefix(name, "export "):
		return "", "", "this file is not a shell script", `write NAME=VALUE, without "export"`
	case !ok:
		return "", "", `a line without "="`, "write NAME=VALUE; a comment begins with #"
	case !envName.MatchString(name):
		return "", "", `not a name before "="`, "a name has letters, digits and _, and no blanks around it"
	}
	value, problem, hint = envValue(strings.TrimSpace(value))
	return name, value, problem, hint
}

// envValue removes the quotes of a value. In single quotes no character is special; in
// double quotes a backslash is.
func envValue(s string) (value, problem, hint string) {
	rest := ""
	switch {
	case strings.HasPrefix(s, "'"):
		var ended bool
		if value, rest, ended = strings.Cut(s[1:], "'"); !ended {
			return "", "the quote does not end in this line", ""
		}
	case strings.HasPrefix(s, `"`):
		if value, rest, problem = unescape(s[1:]); problem != "" {
			return "", problem, `these are known: \\ \" \$ \n \r \t`
		}
	case strings.Contains(s, " #"), strings.Contains(s, "\t#"):
		return "", "a # after a blank: a comment, or part of the value?", "put the value in quotes, or the comment on a line of its own"
	default:
		return s, "", ""
	}
	if rest = strings.TrimSpace(rest); rest != "" && !strings.HasPrefix(rest, "#") {
		return "", "something follows the closing quote", ""
	}
	return value, "", ""
}

// unescape reads s up to the closing double quote. rest is what follows the quote.
func unescape(s string) (value, rest, problem string) {
	var b strings.Builder
	escapes := map[byte]byte{'\\': '\\', '"': '"', '$': '$', 'n': '\n', 'r': '\r', 't': '\t'}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], ""
		case s[i] != '\\':
			b.WriteByte(s[i])
		case i+1 < len(s) && escapes[s[i+1]] != 0:
			i++
			b.WriteByte(escapes[s[i]])
		default:
			return "", "", "an unknown escape"
		}
	}
	return "", "", "the quote does not end in this line"
}
