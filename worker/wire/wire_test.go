package wire

import (
	"reflect"
	"strings"
	"testing"
)

func TestAnswer_Length(t *testing.T) {
	t.Parallel()
	type fields = [][2]string
	for _, test := range []struct {
		name   string
		fields fields
		length int64
		plain  bool
	}{
		{"no header", nil, -1, true},
		{"a length", fields{{"Content-Type", "text/plain"}, {"Content-Length", "5"}}, 5, true},
		{"a large length", fields{{"Content-Length", "9223372036854775807"}}, 1<<63 - 1, true},
		{"too large a length", fields{{"Content-Length", "9223372036854775808"}}, -1, false},
		{"a negative length", fields{{"Content-Length", "-5"}}, -1, false},
		{"a signed length", fields{{"Content-Length", "+5"}}, -1, false},
		{"a length that is no number", fields{{"Content-Length", "5 "}}, -1, false},
		{"two lengths", fields{{"Content-Length", "5"}, {"Content-Length", "5"}}, -1, false},
		{"concerns the connection", fields{{"Connection", "close"}}, -1, false},
		{"chunked", fields{{"Transfer-Encoding", "chunked"}}, -1, false},
		{"a file of nginx", fields{{"X-Accel-Redirect", "/secret"}}, -1, false},
		{"a file of Apache", fields{{"X-Sendfile", "/secret"}}, -1, false},
	} {
		a := Answer{Status: 200, Fields: test.fields}
		if length, plain := a.Length(); length != test.length || plain != test.plain {
			t.Errorf("%s: got %d, %v, want %d, %v", test.name, length, plain, test.length, test.plain)
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
