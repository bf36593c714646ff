package config

import "strings"

// There is no shell between sites.toml and a program. What one would take for
// more than a letter must be quoted, so that nobody takes ours for one.
const (
	special         = "|&;<>()$`\\*?[{~#"
	specialInDouble = "$`\\"
	noShell         = `put it in single quotes, or write ["sh", "-c", "..."]`
)

// splitWords splits a command at spaces. Quotes keep what is in them together:
// 'as it is', or "as it is" where a shell would change nothing.
func splitWords(text string) (words []string, problem, hint string) {
	var word strings.Builder
	var quote rune
	begun := false
	for _, r := range text {
		switch {
		case r == quote:
			quote = 0
		case quote == '"' && strings.ContainsRune(specialInDouble, r), quote == 0 && strings.ContainsRune(special, r):
			return nil, "no shell reads this: " + string(r) + " has no meaning", noShell
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, begun = r, true
		case strings.ContainsRune(" \t\r\n", r):
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if quote != 0 {
		return nil, "a quote is not closed", ""
	}
	if begun {
		words = append(words, word.String())
	}
	return words, "", ""
}
