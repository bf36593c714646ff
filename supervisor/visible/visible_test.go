package visible

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             "",
		"GET /a?b=c é 漢 🙂\tx\n":        "GET /a?b=c é 漢 🙂\tx\n",
		"GET /\x1b]0;title\x07\x1b[2J": `GET /\u001b]0;title\u0007\u001b[2J`,
		"a\rb\x00\x7f":                 `a\u000db\u0000\u007f`,
		"C1 \u009b31m":                 `C1 \u009b31m`,
		"\u202egnp.exe\u202c \u2066x\u2069\u200e\u200f\u061c": `\u202egnp.exe\u202c \u2066x\u2069\u200e\u200f\u061c`,
		"line\u2028separator\u2029":                           `line\u2028separator\u2029`,
		"no UTF-8 \xff\x9b1m \xe2\x80":                        `no UTF-8 \xff\x9b1m \xe2\x80`,
	} {
		if got := Text(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestWriter: a character that comes in pieces is not damaged, and escaped JSON decodes to the same value.
func TestWriter(t *testing.T) {
	t.Parallel()
	said := map[string]string{"last_exit": "GET /\x1b[2J\u202e\u2028\u009b é 🙂"}
	text, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := io.Copy(&Writer{W: &out}, iotest.OneByteReader(bytes.NewReader(text))); err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got["last_exit"] != said["last_exit"] {
		t.Errorf("got %q, %v", out.String(), err)
	}
	if strings.ContainsAny(out.String(), "\x1b\u202e\u2028\u009b") || !strings.Contains(out.String(), "é 🙂") {
		t.Errorf("got %q", out.String())
	}
}
