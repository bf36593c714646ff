package blog

import (
	"html/template"
	"regexp"
	"strings"
)

// Text is the text of a post, with a little markup. HTML in it is always escaped.
type Text string

// Block is one paragraph, heading, quotation or list of a Text.
type Block struct {
	Kind  string // "p", "h2", "quote" or "list"
	Lines []template.HTML
}

// Blocks returns the blocks of the text, which empty lines separate.
func (t Text) Blocks() []Block {
	var blocks []Block
	for part := range strings.SplitSeq(strings.ReplaceAll(string(t), "\r\n", "\n"), "\n\n") {
		if part = strings.Trim(part, "\n"); strings.TrimSpace(part) != "" {
			blocks = append(blocks, block(part))
		}
	}
	return blocks
}

// Summary returns the first paragraph.
func (t Text) Summary() string {
	for part := range strings.SplitSeq(strings.ReplaceAll(string(t), "\r\n", "\n"), "\n\n") {
		if part = strings.TrimSpace(part); part != "" && !strings.HasPrefix(part, "#") {
			return part
		}
	}
	return ""
}

func block(part string) Block {
	lines := strings.Split(part, "\n")
	for _, kind := range []struct{ name, mark string }{{"h2", "## "}, {"list", "- "}, {"quote", "> "}} {
		if stripped, all := stripMark(lines, kind.mark); all {
			return Block{Kind: kind.name, Lines: links(stripped)}
		}
	}
	return Block{Kind: "p", Lines: links(lines)}
}

// stripMark removes the mark if every line has it.
func stripMark(lines []string, mark string) (stripped []string, all bool) {
	for _, line := range lines {
		rest, marked := strings.CutPrefix(line, mark)
		if !marked {
			return nil, false
		}
		stripped = append(stripped, rest)
	}
	return stripped, true
}

// address matches a URL without the punctuation of the sentence around it.
var address = regexp.MustCompile(`https?://[^\s<>"]*[^\s<>".,;:!?)'\]]`)

// links escapes each line and turns the URLs in it into links.
func links(lines []string) []template.HTML {
	out := make([]template.HTML, len(lines))
	for i, line := range lines {
		var b strings.Builder
		end := 0
		for _, at := range address.FindAllStringIndex(line, -1) {
			url := template.HTMLEscapeString(line[at[0]:at[1]])
			b.WriteString(template.HTMLEscapeString(line[end:at[0]]))
			b.WriteString(`<a href="` + url + `" rel="nofollow">` + url + `</a>`)
			end = at[1]
		}
		b.WriteString(template.HTMLEscapeString(line[end:]))
		out[i] = template.HTML(b.String())
	}
	return out
}
