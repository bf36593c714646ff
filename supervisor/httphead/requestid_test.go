package httphead

import (
	"strings"
	"testing"
)

func TestAppendID_DiffersAndIsValid(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100_000 {
		id := NewID()
		if seen[id] || !ValidID(id) || len(id) != idLength {
			t.Fatalf("got %q, again: %v", id, seen[id])
		}
		seen[id] = true
	}
}

func TestValidID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"a", "0af7651916cd43dd8448eb211c80319c", "1f0e-4a@b.c:d/e+f=~_", strings.Repeat("a", maxIDLength)} {
		if !ValidID(id) {
			t.Errorf("%q is refused", id)
		}
	}
	for _, id := range []string{"", "a b", "a\"", "a\\", "a\n", "a,b", "a;b", "\x00", "é", "<b>", strings.Repeat("a", maxIDLength+1)} {
		if ValidID(id) {
			t.Errorf("%q is accepted", id)
		}
	}
}
