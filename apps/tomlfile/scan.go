package tomlfile

import (
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// scanner finds the line of every key, table header and list element. The TOML library
// does not give these lines, so scanner reads the text a second time. The library has
// accepted the text already, so scanner does not check it.
type scanner struct {
	data    string
	at      int            // offset of the next byte
	line    int            // line of the offset counted
	counted int            // offset up to which line has counted newlines
	lines   map[string]int // line by path, as join makes it
	tables  map[string]int // number of [[name]] so far, by path
}

// scanLines returns the line of each path in a valid TOML document. The third element of a
// list has the path component "[2]".
func scanLines(data string) map[string]int {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff", "\xef\xbb\xbf"} {
		if rest, found := strings.CutPrefix(data, mark); found {
			data = rest
			break
		}
	}
	s := &scanner{data: data, line: 1, lines: map[string]int{}, tables: map[string]int{}}
	table := ""
	for s.skip(" \t\r\n"); s.at < len(s.data); s.skip(" \t\r\n") {
		start := s.at
		if s.peek() == '[' {
			table = s.header()
		} else {
			s.pair(table)
		}
		if s.at == start { // not in valid TOML; but never loop for ever
			s.at++
		}
	}
	return s.lines
}

// header reads [a.b] or [[a.b]] and returns the path of the table that it begins.
func (s *scanner) header() string {
	list := strings.HasPrefix(s.data[s.at:], "[[")
	line := s.lineHere()
	s.eat('[')
	parts := s.key()
	s.eat(']')

	path := ""
	for i, part := range parts {
		path = join(path, part)
		last := i == len(parts)-1
		if last && list {
			s.tables[path]++
		}
		if last && !list || s.lines[path] == 0 {
			s.lines[path] = line
		}
		if n := s.tables[path]; n > 0 {
			path = join(path, index(n-1))
			if last {
				s.lines[path] = line
			}
		}
	}
	return path
}

// pair reads key = value, in a table or in an inline table.
func (s *scanner) pair(table string) {
	line, path := s.lineHere(), table
	for _, part := range s.key() {
		path = join(path, part)
		if s.lines[path] == 0 {
			s.lines[path] = line
		}
	}
	s.eat('=')
	s.skip(" \t\r\n") // newlines only in a malformed text
	s.value(path)
}

func (s *scanner) value(path string) {
	switch s.peek() {
	case '"', '\'':
		s.quoted()
	case '[':
		s.at++
		for i := 0; s.more(']'); i++ {
			element := join(path, index(i))
			s.lines[element] = s.lineHere()
			s.value(element)
		}
	case '{':
		s.at++
		for s.more('}') {
			s.pair(path)
		}
	default:
		for s.at < len(s.data) && !strings.ContainsRune(",]}#\n", rune(s.data[s.at])) {
			s.at++
		}
	}
}

// more reports whether another element follows. If not, it skips the end.
func (s *scanner) more(end byte) bool {
	s.skip(" \t\r\n,")
	if s.at < len(s.data) && s.data[s.at] != end {
		return true
	}
	s.at = min(s.at+1, len(s.data))
	return false
}

// key reads a dotted key and the blanks around it.
func (s *scanner) key() []string {
	var parts []string
	for {
		s.skip(" \t")
		if c := s.peek(); c == '"' || c == '\'' {
			parts = append(parts, unquote(s.quoted()))
		} else {
			start := s.at
			for s.at < len(s.data) && isBare(s.data[s.at]) {
				s.at++
			}
			parts = append(parts, s.data[start:s.at])
		}
		s.skip(" \t")
		if s.peek() != '.' {
			return parts
		}
		s.at++
	}
}

// quoted reads one of TOML's four kinds of string and returns it as written.
func (s *scanner) quoted() string {
	start, quote := s.at, s.data[s.at:s.at+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s.data[s.at:], triple) {
		quote = triple
	}
	s.at += len(quote)
	for s.at < len(s.data) && !strings.HasPrefix(s.data[s.at:], quote) {
		if s.data[s.at] == '\\' && quote[0] == '"' {
			s.at++
		}
		s.at++
	}
	s.at = min(s.at+len(quote), len(s.data))
	// A multi-line string may end with one or two quotes of its own: """a"""".
	for i := 0; i < 2 && len(quote) == 3 && s.peek() == quote[0]; i++ {
		s.at++
	}
	return s.data[start:s.at]
}

// skip skips bytes that are in set, and comments.
func (s *scanner) skip(set string) {
	for s.at < len(s.data) {
		switch c := s.data[s.at]; {
		case c == '#':
			end := strings.IndexByte(s.data[s.at:], '\n')
			if end < 0 {
				end = len(s.data) - s.at
			}
			s.at += end
		case strings.IndexByte(set, c) >= 0:
			s.at++
		default:
			return
		}
	}
}

// eat skips every c here: one "[" or two.
func (s *scanner) eat(c byte) {
	for s.peek() == c {
		s.at++
	}
}

func (s *scanner) peek() byte {
	if s.at < len(s.data) {
		return s.data[s.at]
	}
	return 0
}

func (s *scanner) lineHere() int {
	s.line += strings.Count(s.data[s.counted:s.at], "\n")
	s.counted = s.at
	return s.line
}

// unquote returns the key in a quoted string. It uses the library for escapes, which are
// rare in keys.
func unquote(s string) string {
	if s[0] == '"' && strings.Contains(s, `\`) {
		var v struct{ K string }
		if _, err := toml.Decode("k = "+s, &v); err == nil {
			return v.K
		}
	}
	return strings.Trim(s, s[:1])
}

func isBare(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

func index(i int) string { return "[" + strconv.Itoa(i) + "]" }

func join(path, part string) string {
	return path + "\x00" + part
}

func joinPath(path []string) string {
	joined := ""
	for _, part := range path {
		joined = join(joined, part)
	}
	return joined
}
