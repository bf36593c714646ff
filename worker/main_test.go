package worker_test

import (
	"os"
	"testing"
)

// TestMain makes the test program a Go site's program where a test starts it as one.
func TestMain(m *testing.M) {
	if os.Getenv("WORKER_TEST_PROGRAM") == "hello" {
		program()
		return
	}
	os.Exit(m.Run())
}
