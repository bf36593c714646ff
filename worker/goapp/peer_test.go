package goapp

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/multisite/multisite/worker/account"
	"github.com/multisite/multisite/worker/unixsock"
)

// TestCheckPeer_RefusesAnothersSocket: a site's user may have put a link to one in place of
// its own.
func TestCheckPeer_RefusesAnothersSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := unixsock.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, tt := range []struct {
		name string
		as   *account.Account
		ok   bool
	}{
		{"whoever runs multisite", nil, true},
		{"its own", &account.Account{UID: os.Geteuid()}, true},
		{"another's", &account.Account{Name: "stranger", UID: 4711}, false},
	} {
		if err := checkPeer(conn, tt.as); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
