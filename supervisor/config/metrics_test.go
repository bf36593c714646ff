package config

import (
	"path/filepath"
	"testing"
)

func TestLoad_Metrics(t *testing.T) {
	t.Parallel()
	dir := project(t)
	const site = "[site.x]\nserver_name = 'x'\nsettings = 'a.b'\n"
	if c := mustLoad(t, dir, "metrics = ':9115'\n"+site); c.Metrics != ":9115" {
		t.Errorf("got %q", c.Metrics)
	}
	for text, want := range map[string]string{
		"metrics = '9115'\n": `sites.toml:1: metrics: "9115" is not host:port [write one such as "127.0.0.1:9115"]`,
		"listen = '127.0.0.1:80'\nmetrics = '127.0.0.1:80'\n": `sites.toml:2: metrics: "127.0.0.1:80" is an address of the front door or the dashboard` +
			` [write another one, such as "127.0.0.1:9115"]`,
		"metrics = '127.0.0.1:8080'\n": `sites.toml:1: metrics: "127.0.0.1:8080" is an address of the front door or the dashboard` +
			` [write another one, such as "127.0.0.1:9115"]`, // the default of listen
	} {
		path := filepath.Join(dir, "sites.toml")
		write(t, path, text+site, 0o644)
		_, err := Load(path)
		wantReport(t, dir, err, want)
	}
}
