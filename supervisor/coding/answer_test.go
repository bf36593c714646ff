package coding

import (
	"bytes"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// fields are a header without repeated names.
type fields = [][2]string

func TestRule_Plan(t *testing.T) {
	t.Parallel()
	html := [2]string{"Content-Type", "text/html; charset=utf-8"}
	all, json := Rule{On: true}, Rule{On: true, Types: []string{"application/json", "image/*"}}
	for _, test := range []struct {
		name   string
		rule   Rule
		asked  Asked
		status int
		given  fields
		want   fields // nil: as given
	}{
		{"a page", all, Asked{Accept: "gzip"}, 200, fields{html, {"Content-Length", "1024"}, {"Etag", `"a"`}},
			fields{html, {"Etag", `W/"a"`}, {"Vary", "Accept-Encoding"}, {"Content-Encoding", "gzip"}}},
		{"zstd is better", all, Asked{Accept: "gzip, zstd, br"}, 404, fields{html}, fields{html, {"Vary", "Accept-Encoding"}, {"Content-Encoding", "zstd"}}},
		{"a weak tag", all, Asked{Accept: "gzip"}, 200, fields{{"Etag", `W/"a"`}, html}, fields{{"Etag", `W/"a"`}, html, {"Vary", "Accept-Encoding"}, {"Content-Encoding", "gzip"}}},
		{"for another client", all, Asked{}, 200, fields{html, {"Etag", `"a"`}, {"Content-Length", "2000"}},
			fields{html, {"Etag", `"a"`}, {"Content-Length", "2000"}, {"Vary", "Accept-Encoding"}}},
		{"it varies already", all, Asked{Accept: "gzip"}, 200, fields{{"Vary", "Cookie"}, html}, fields{{"Vary", "Cookie, Accept-Encoding"}, html, {"Content-Encoding", "gzip"}}},
		{"by that", all, Asked{}, 200, fields{{"Vary", "accept-encoding,Cookie"}, html}, fields{{"Vary", "accept-encoding,Cookie"}, html}},
		{"by all", all, Asked{}, 200, fields{{"Vary", "*"}, html}, fields{{"Vary", "*"}, html}},
		{"not encoded, it says", all, Asked{Accept: "gzip"}, 200, fields{{"Content-Encoding", "identity"}, html}, fields{html, {"Vary", "Accept-Encoding"}, {"Content-Encoding", "gzip"}}},
		{"parts of another length", all, Asked{Accept: "gzip"}, 200, fields{{"Accept-Ranges", "bytes"}, html}, fields{html, {"Vary", "Accept-Encoding"}, {"Content-Encoding", "gzip"}}},
		{"parts of the same", all, Asked{}, 200, fields{{"Accept-Ranges", "bytes"}, html}, fields{{"Accept-Ranges", "bytes"}, html, {"Vary", "Accept-Encoding"}}},
		{"small", all, Asked{Accept: "gzip"}, 200, fields{html, {"Content-Length", "1023"}}, nil},
		{"encoded", all, Asked{Accept: "gzip"}, 200, fields{html, {"Content-Encoding", "br"}}, nil},
		{"not to be changed", all, Asked{Accept: "gzip"}, 200, fields{html, {"Cache-Control", "public, No-Transform"}}, nil},
		{"a part", all, Asked{Accept: "gzip"}, 206, fields{html}, nil},
		{"a refused part", all, Asked{Accept: "gzip"}, 416, fields{html, {"Content-Range", "bytes */5"}}, nil},
		{"nothing", all, Asked{Accept: "gzip"}, 204, fields{html}, nil},
		{"an image", all, Asked{Accept: "gzip"}, 200, fields{{"Content-Type", "image/png"}}, nil},
		{"no type", all, Asked{Accept: "gzip"}, 200, fields{{"X-A", "b"}}, nil},
		{"events", all, Asked{Accept: "gzip"}, 200, fields{{"Content-Type", "text/event-stream"}}, nil},
		{"another type", json, Asked{Accept: "gzip"}, 200, fields{html}, nil},
		{"a listed type", json, Asked{Accept: "gzip"}, 200, fields{{"Content-Type", "Application/JSON"}}, fields{{"Content-Type", "Application/JSON"}, {"Vary", "Accept-Encoding"}, {"Content-Encoding", "gzip"}}},
		{"a listed group", json, Asked{Accept: "gzip"}, 200, fields{{"Content-Type", "image/x"}}, fields{{"Content-Type", "image/x"}, {"Vary", "Accept-Encoding"}, {"Content-Encoding", "gzip"}}},
		{"no rule", Rule{}, Asked{Accept: "gzip"}, 200, fields{html}, nil},
		{"HEAD", all, Asked{Accept: "gzip", Head: true}, 200, fields{html, {"Content-Length", "1024"}}, fields{html, {"Vary", "Accept-Encoding"}, {"Content-Encoding", "gzip"}}},
		{"HEAD without a length", all, Asked{Accept: "gzip", Head: true}, 200, fields{html, {"Etag", `"a"`}}, fields{html, {"Etag", `W/"a"`}, {"Vary", "Accept-Encoding"}}},
		{"unchanged", all, Asked{Accept: "gzip", NoneMatch: `"b", W/"a"`}, 304, fields{{"Etag", `"a"`}}, fields{{"Etag", `W/"a"`}, {"Vary", "Accept-Encoding"}}},
		{"unchanged, had plain", all, Asked{Accept: "gzip", NoneMatch: `"a"`}, 304, fields{{"Etag", `"a"`}}, nil},
	} {
		f, h := Of(test.status), http.Header{}
		for _, field := range test.given {
			f.Look(field[0], field[1])
			h.Set(field[0], field[1])
		}
		plan := test.rule.Plan(test.asked, f)
		want := test.want
		if want == nil {
			want = test.given
		}
		if got := plan.Fields(test.given); !reflect.DeepEqual(got, want) || plan.Changes() != (test.want != nil) {
			t.Errorf("%s: got %q, want %q", test.name, got, want)
		}
		wanted := http.Header{}
		for _, field := range want {
			wanted.Set(field[0], field[1])
		}
		if plan.Header(h); !reflect.DeepEqual(h, wanted) {
			t.Errorf("%s: got %q, want %q", test.name, h, wanted)
		}
	}
}

func TestBody_HasItsLength(t *testing.T) {
	t.Parallel()
	for _, c := range Made {
		for _, test := range []struct {
			length int64
			want   error
		}{{-1, nil}, {10, nil}, {11, ErrShorter}, {9, ErrLonger}} {
			var out bytes.Buffer
			b := NewBody(c, &out, test.length)
			var err error
			for _, part := range []string{"01234", "56789"} {
				if _, wrong := b.Write([]byte(part)); wrong != nil {
					err = wrong
					b.GiveUp()
					break
				}
			}
			if err == nil {
				err = b.End()
			}
			if !errors.Is(err, test.want) {
				t.Errorf("%v of %d: got %v", c, test.length, err)
			}
			if err == nil && decode(t, c, &out) != "0123456789" {
				t.Errorf("%v: other text", c)
			}
		}
		text := strings.Repeat("text ", 1000)
		if got := c.EncodeNow([]byte(text)); len(got) > len(text)/4 || decode(t, c, bytes.NewReader(got)) != text {
			t.Errorf("%v: got %d bytes", c, len(got))
		}
	}
}
