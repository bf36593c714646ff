package config

import (
	"path/filepath"
	"testing"
)

func TestLoad_RefusesTimeoutsOfClients(t *testing.T) {
	t.Parallel()
	dir := project(t)
	_, err := Parse(filepath.Join(dir, "sites.toml"), []byte(`
header_timeout = "0s"
idle_timeout = 75
client_timeout = "soon"
[site.x]
server_name = "x"
settings = "a.b"
header_timeout = "5s"
`))
	wantReport(t, dir, err,
		`sites.toml:2: header_timeout: must be longer than 0s`,
		`sites.toml:3: idle_timeout: must be a duration such as "30s", not a whole number`,
		`sites.toml:4: client_timeout: "soon" is not a duration [write one such as "500ms", "30s", "5m" or "1h30m"]`,
		`sites.toml:8: site.x.header_timeout: a key of the whole file [write it above the first [table]]`,
	)
}
