package admin

import (
	"html/template"
	"strings"
	"unicode"
	"unicode/utf8"
)

func (v views) funcs() template.FuncMap {
	return template.FuncMap{
		"home":    func() string { return v.env.Path("admin", "") },
		"article": article,
		"capital": capital,
	}
}

// article returns the noun with its article: "a post", "an answer".
func article(noun string) string {
	if noun != "" && strings.ContainsRune("aeiou", rune(noun[0])) && !strings.HasPrefix(noun, "user") {
		return "an " + noun
	}
	return "a " + noun
}

func capital(word string) string {
	first, size := utf8.DecodeRuneInString(word)
	return string(unicode.ToUpper(first)) + word[size:]
}
