package goapp

import (
	"strings"
	"testing"

	"github.com/multisite/multisite/worker/wire"
)

// TestAppendRequest_User: a program learns of a user whose password the front door has
// checked, and of no other then.
func TestAppendRequest_User(t *testing.T) {
	t.Parallel()
	h := &wire.Head{Method: "GET", URI: "/", Host: "a.test", Scheme: "http", RemoteAddr: "192.0.2.1", Length: -1, User: "alice",
		Fields: [][2]string{{"remote-user", "root"}, {"X-A", "b"}}}
	if got := string(appendRequest(nil, h)); !strings.Contains(got, "\r\nRemote-User: alice\r\n") || strings.Contains(got, "root") || !strings.Contains(got, "X-A: b") {
		t.Errorf("got %q", got)
	}
	h.User = ""
	if got := string(appendRequest(nil, h)); !strings.Contains(got, "remote-user: root") || strings.Contains(got, "alice") {
		t.Errorf("without one: got %q", got)
	}
}
