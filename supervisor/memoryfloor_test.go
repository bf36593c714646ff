package supervisor

import (
	"strings"
	"testing"
)

func TestMemoryFloor(t *testing.T) {
	t.Parallel()
	const said = 50 * megabyte
	for _, tt := range []struct {
		name  string
		born  []bool // of workers over the limit: from the start?
		limit int64  // afterwards, when the last held 80 MB
	}{
		{"two large ones may be chance", []bool{true, true}, said},
		{"the third shows that all are", []bool{true, true, true}, 130 * megabyte},
		{"one that grew says that they are not", []bool{true, true, false, true, true}, said},
		{"it is raised once", []bool{true, true, true, true, true, true}, 130 * megabyte},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var f memoryFloor
			told := 0
			f.limit(said)
			for _, born := range tt.born {
				if f.over(80*megabyte, born) {
					told++
				}
			}
			if got := f.limit(said); got != tt.limit {
				t.Errorf("the limit is %d, want %d", got, tt.limit)
			}
			raised := tt.limit > said
			if told == 1 != raised || raised != strings.Contains(f.String(), `memory_limit = 50MB is less than the 80 MB`) {
				t.Errorf("told %d times: %q", told, &f)
			}
			if got := f.limit(60 * megabyte); got != 60*megabyte || f.String() != "" {
				t.Errorf("after sites.toml has changed: %d, %q", got, &f)
			}
		})
	}
}
