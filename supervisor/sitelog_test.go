package supervisor

import (
	"errors"
	"fmt"
	"testing"

	"github.com/multisite/multisite/worker/process"
)

func TestDescribeError_TellsAReasonOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"plain", errors.New("no"), "no"},
		{"no detail", &process.LaunchError{Problem: "it ended"}, "it ended"},
		{"the same", &process.LaunchError{Problem: "it ended", Detail: "it ended"}, "it ended"},
		{"traceback", &process.LaunchError{Problem: "ValueError: x", Detail: "Traceback:\nValueError: x\n"}, "ValueError: x\nTraceback:\nValueError: x"},
		{"wrapped", fmt.Errorf("start blog/1: %w", &process.LaunchError{Problem: "it ended", Detail: "last words"}), "start blog/1: it ended\nlast words"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := describeError(tt.err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
