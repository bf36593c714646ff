package limits

import (
	"strings"
	"testing"
)

func TestFloor(t *testing.T) {
	t.Parallel()
	const configured = 50 * megabyte
	for _, tt := range []struct {
		name  string
		fresh []bool // of workers over the limit: since their start?
		limit int64  // afterwards, when the last held 80 MB
	}{
		{"two large ones may be chance", []bool{true, true}, configured},
		{"the third shows that all are", []bool{true, true, true}, 130 * megabyte},
		{"one that grew says that they are not", []bool{true, true, false, true, true}, configured},
		{"it is raised once", []bool{true, true, true, true, true, true}, 130 * megabyte},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var f floor
			reported := 0
			f.limit(configured)
			for _, fresh := range tt.fresh {
				if f.exceeded(80*megabyte, fresh) {
					reported++
				}
			}
			if got := f.limit(configured); got != tt.limit {
				t.Errorf("the limit is %d, want %d", got, tt.limit)
			}
			raised := tt.limit > configured
			if reported == 1 != raised || raised != strings.Contains(f.String(), `memory_limit = 50MB is less than the 80 MB`) {
				t.Errorf("reported %d times: %q", reported, &f)
			}
			if got := f.limit(60 * megabyte); got != 60*megabyte || f.String() != "" {
				t.Errorf("after sites.toml has changed: %d, %q", got, &f)
			}
		})
	}
}
