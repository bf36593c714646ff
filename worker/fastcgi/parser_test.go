package fastcgi

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
)

// parts is what a parser finds in pieces of data. The contents of successive STDOUT records
// are joined.
type parts struct {
	found []string
	rest  string
	skip  string // that is left
	err   string
}

// parse gives p each piece together with what it left of the ones before, as its users do.
func parse(p parser, pieces ...[]byte) (all parts) {
	var data []byte
	for _, piece := range pieces {
		data = append(slices.Clone(data), piece...)
		for all.err == "" {
			found, rest, err := p.next(data)
			data = rest
			if err != nil {
				all.err = err.Error()
			}
			if err != nil || found.typ == 0 {
				break
			}
			last := len(all.found) - 1
			if text := fmt.Sprintf("%d ", found.typ); found.typ == typeStdout && last >= 0 && all.found[last][:2] == text {
				all.found[last] += string(found.content)
			} else {
				all.found = append(all.found, text+string(found.content))
			}
		}
	}
	all.rest, all.skip = string(data), string(p.recalled)
	return all
}

// FuzzParser cuts what a worker may send at each byte, and at all bytes at once. That must
// make no difference.
func FuzzParser(f *testing.F) {
	for _, test := range answerTests() {
		if len(test.wire) < 1000 {
			f.Add([]byte(test.wire), []byte(nil))
		}
	}
	for _, wire := range malformedAnswers() {
		if len(wire) < 1000 {
			f.Add([]byte(wire), []byte{2})
		}
	}
	f.Add([]byte(skipped(7)+skipped(8)+answer(1, "\none")+skipped(9)), []byte{7, 8, 9})
	f.Add([]byte(skipped(8)+answer(1, "\none")), []byte{7, 8})
	f.Add([]byte(end(7)+answer(1, "\none")), []byte{7})
	f.Add([]byte(rec(typeEndRequest, 7, "\x00\x00\x00\x00\x02\x00\x00\x00", 9)+answer(1, "\none")), []byte{7})
	f.Fuzz(func(t *testing.T, data, skip []byte) {
		if len(data) > 2<<10 {
			t.Skip()
		}
		p := parser{id: 1, recalled: skip}
		want := parse(p, data)
		var bytewise [][]byte
		for i := range data {
			bytewise = append(bytewise, data[i:i+1])
			got := parse(p, data[:i], data[i:])
			checkSame(t, fmt.Sprint("cut at ", i), got, want)
		}
		checkSame(t, "in single bytes", parse(p, bytewise...), want)
		checkWhole(t, p, data, want)
	})
}

func checkSame(t *testing.T, how string, got, want parts) {
	t.Helper()
	if got.err != "" && got.err == want.err {
		got.rest, want.rest = "", "" // what follows an error is not looked at
	}
	if !slices.Equal(got.found, want.found) || got.rest != want.rest || got.skip != want.skip || got.err != want.err {
		t.Fatalf("%s:\ngot  %.300q\nwant %.300q", how, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
	}
}

// checkWhole compares whole with next, which reads the same part by part.
func checkWhole(t *testing.T, p parser, data []byte, want parts) {
	t.Helper()
	content, rest, err := p.whole(bytes.Clone(data))
	if err != nil {
		return
	}
	got := parse(p, rest)
	end := slices.IndexFunc(want.found, func(s string) bool { return s[:2] == fmt.Sprintf("%d ", typeEndRequest) })
	wantContent := ""
	if end > 0 {
		wantContent = want.found[0][2:]
	}
	if end < 0 || end > 1 || string(content) != wantContent || !slices.Equal(got.found, want.found[end+1:]) || got.err != want.err {
		t.Fatalf("got %.300q, then %.300q, want %.300q", content, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
	}
}
