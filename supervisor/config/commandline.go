package config

import "strings"

// No shell reads a command in sites.toml. A character that is special to a shell must be
// quoted, so that nobody expects a shell to act on it.
const (
	special         = "|&;<>()$`\\*?[{~#"
	specialInDouble = "$`\\"
	noShell         = `put it in single quotes, or write ["sh", "-c", "..."]`
)

// splitCommand splits a command at blanks. Quotes keep blanks and special characters:
// single quotes all of them, double quotes those that a shell would not change there.
// problem is "" unless the text has a mistake.
func splitCommand(text string) (args []string, problem, hint string) {
	var word strings.Builder
	var quote rune
	inWord := false
	for _, r := range text {
		switch {
		case r == quote:
			quote = 0
		case quote == '"' && strings.ContainsRune(specialInDouble, r), quote == 0 && strings.ContainsRune(special, r):
			return nil, "no shell reads this: " + string(r) + " has no meaning", noShell
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case strings.ContainsRune(" \t\r\n", r):
			if inWord {
				args = append(args, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, "a quote is not closed", ""
	}
	if inWord {
		args = append(args, word.String())
	}
	return args, "", ""
}
