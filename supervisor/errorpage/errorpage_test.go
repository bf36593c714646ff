package errorpage

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestBody_NamesTheStatus(t *testing.T) {
	t.Parallel()
	for status, sentence := range sentences {
		body := string(Body(status))
		if !strings.Contains(body, "<p>"+sentence+"</p>") || !strings.Contains(body, http.StatusText(status)+"</h1>") {
			t.Errorf("%d: got %s", status, body)
		}
	}
}

func TestFields_AskToRetryWhatPasses(t *testing.T) {
	t.Parallel()
	for status := range sentences {
		want := status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests
		if got := slices.Contains(Fields(status), [2]string{"Retry-After", "5"}); got != want {
			t.Errorf("%d: Retry-After: %v, want %v", status, got, want)
		}
	}
}
