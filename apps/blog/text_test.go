package blog

import (
	"fmt"
	"strings"
	"testing"
)

func TestText_Blocks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, text, want string }{
		{"paragraphs", "One\ntwo.\r\n\r\n\r\nThree.", "p[One|two.] p[Three.]"},
		{"heading", "## A & B", "h2[A &amp; B]"},
		{"list", "- a\n- b", "list[a|b]"},
		{"not quite a list", "- a\nb", "p[- a|b]"},
		{"quotation", "> a\n> b", "quote[a|b]"},
		{"markup is text", "<script>alert(1)</script>", "p[&lt;script&gt;alert(1)&lt;/script&gt;]"},
		{"link", "See (https://a.example/b?c=1&d=2).", `p[See (<a href="https://a.example/b?c=1&amp;d=2" rel="nofollow">https://a.example/b?c=1&amp;d=2</a>).]`},
		{"no script link", `javascript:alert(1) https://x.example/"onclick="y`, `p[javascript:alert(1) <a href="https://x.example/" rel="nofollow">https://x.example/</a>&#34;onclick=&#34;y]`},
		{"nothing", " \n\n ", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, b := range Text(test.text).Blocks() {
				var lines []string
				for _, line := range b.Lines {
					lines = append(lines, string(line))
				}
				got = append(got, fmt.Sprintf("%s[%s]", b.Kind, strings.Join(lines, "|")))
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestText_SummaryIsTheFirstParagraph(t *testing.T) {
	t.Parallel()
	if got := Text("\n\n## Title\n\nFirst\nlines.\n\nSecond.").Summary(); got != "First\nlines." {
		t.Errorf("got %q", got)
	}
}

// FuzzText looks for text that escapes from its tags.
func FuzzText(f *testing.F) {
	f.Add("a <b> \"c\" https://x.example/'<i>")
	f.Fuzz(func(t *testing.T, text string) {
		for _, b := range Text(text).Blocks() {
			for _, line := range b.Lines {
				rest := strings.ReplaceAll(string(line), `" rel="nofollow">`, "")
				rest = strings.ReplaceAll(strings.ReplaceAll(rest, `<a href="`, ""), "</a>", "")
				if strings.ContainsAny(rest, `<>"`) {
					t.Fatalf("%q became %q", text, line)
				}
			}
		}
	})
}
