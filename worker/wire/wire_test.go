package wire

import (
	"reflect"
	"strings"
	"testing"
)

func TestAnswer_Plain(t *testing.T) {
	t.Parallel()
	type fields = [][2]string
	for _, test := range []struct {
		name   string
		answer Answer
		head   bool // of a HEAD request
		want   bool
	}{
		{"no header", Answer{Status: 200, Body: []byte("hello")}, false, true},
		{"its length", Answer{Status: 200, Fields: fields{{"Content-Length", "5"}}, Body: []byte("hello")}, false, true},
		{"another length", Answer{Status: 200, Fields: fields{{"Content-Length", "4"}}, Body: []byte("hello")}, false, false},
		{"a negative length", Answer{Status: 200, Fields: fields{{"Content-Length", "-5"}}, Body: []byte("hello")}, false, false},
		{"a length that is no number", Answer{Status: 200, Fields: fields{{"Content-Length", "5 "}}, Body: []byte("hello")}, false, false},
		{"two lengths", Answer{Status: 200, Fields: fields{{"Content-Length", "5"}, {"Content-Length", "5"}}, Body: []byte("hello")}, false, false},
		{"concerns the connection", Answer{Status: 200, Fields: fields{{"Connection", "close"}}}, false, false},
		{"chunked", Answer{Status: 200, Fields: fields{{"Transfer-Encoding", "chunked"}}}, false, false},
		{"a file of nginx", Answer{Status: 200, Fields: fields{{"X-Accel-Redirect", "/secret"}}}, false, false},
		{"a file of Apache", Answer{Status: 200, Fields: fields{{"X-Sendfile", "/secret"}}}, false, false},
		{"HEAD with a length", Answer{Status: 200, Fields: fields{{"Content-Length", "5"}}}, true, true},
		{"HEAD with a body", Answer{Status: 200, Body: []byte("hello")}, true, false},
		{"204", Answer{Status: 204}, false, true},
		{"204 with a body", Answer{Status: 204, Body: []byte("hello")}, false, false},
		{"304 with a length", Answer{Status: 304, Fields: fields{{"Content-Length", "5"}}}, false, true},
	} {
		if got := test.answer.Plain(test.head); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestBodiless(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{200: false, 204: true, 205: false, 206: false, 304: true, 404: false} {
		if got := Bodiless(status); got != want {
			t.Errorf("%d: got %v, want %v", status, got, want)
		}
	}
}

func TestOutcome_String(t *testing.T) {
	t.Parallel()
	for o, want := range map[Outcome]string{AwaitOnly: "await only", Written: "written", NoFollower: "no follower"} {
		if got := o.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestEachField(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, lines string
		want        [][2]string
		err         string // a part of it; "": none
	}{
		{"nothing", "", nil, ""},
		{"CRLF", "A: 1\r\nB: 2\r\n\r\nC: 3\r\n", [][2]string{{"A", "1"}, {"B", "2"}}, ""},
		{"LF", "A: 1\nB: 2\n\nC: 3\n", [][2]string{{"A", "1"}, {"B", "2"}}, ""},
		{"no end of line", "A: 1", [][2]string{{"A", "1"}}, ""},
		{"canonical names", "content-TYPE: x\n", [][2]string{{"Content-Type", "x"}}, ""},
		{"space around values", "A: \t 1 2 \t\n", [][2]string{{"A", "1 2"}}, ""},
		{"an empty value", "A:\n", [][2]string{{"A", ""}}, ""},
		{"repeated", "A: 1\nA: 2\n", [][2]string{{"A", "1"}, {"A", "2"}}, ""},
		{"a colon in a value", "A: b:c\n", [][2]string{{"A", "b:c"}}, ""},
		{"no colon", "A: 1\nhello\n", [][2]string{{"A", "1"}}, `header line "hello"`},
		{"no name", ": 1\n", nil, `header line ": 1"`},
		{"space in a name", "A B: 1\n", nil, `header line "A B: 1"`},
		{"a folded line", "A: 1\n 2: 3\n", [][2]string{{"A", "1"}}, `header line " 2: 3"`},
		{"CR in a value", "A: 1\r2\n", nil, "value of header A"},
		{"NUL in a value", "A: \x00\n", nil, "value of header A"},
		{"a long line is cut", strings.Repeat("x", 100), nil, `header line "` + strings.Repeat("x", 60) + `"`},
	} {
		var got [][2]string
		err := EachField(test.lines, func(name, value string) { got = append(got, [2]string{name, value}) })
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
			t.Errorf("%s: got error %v, want %q", test.name, err, test.err)
		}
	}
}

func TestAppendField(t *testing.T) {
	t.Parallel()
	if got := string(AppendField([]byte("x"), "A", "b")); got != "xA: b\r\n" {
		t.Errorf("got %q", got)
	}
}
