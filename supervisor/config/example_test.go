package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/multisite/multisite/apps/tomlfile"
	"github.com/multisite/multisite/supervisor/config"
)

func ExampleLoad() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sites.toml")
	text := `
[defaults]
processes       = 5
request_timeout = "10s"

[site.news]
server_name = "News.example.com:80"
settings    = "builtin:subdomain1"

[site.shop]
server_name = "shop.example.com"
settings    = "builtin:subdomain2"
processes   = { min = 0, max = 2 }
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}

	cfg, err := config.Load(path)
	if err != nil {
		panic(err)
	}
	fmt.Println("listen:", cfg.Listen)
	for _, site := range cfg.Sites {
		fmt.Printf("%s: %s, %d to %d workers, %v\n", site.Name, site.ServerName, site.Processes.Min, site.Processes.Max, site.RequestTimeout)
	}
	// Output:
	// listen: [127.0.0.1:8080]
	// news: news.example.com, 5 to 5 workers, 10s
	// shop: shop.example.com, 0 to 2 workers, 10s
}

// The error has every mistake of the file.
func ExampleParse() {
	_, err := config.Parse("/srv/sites.toml", []byte(`
[site.news]
server_name     = "news.example.com"
settings        = "builtin:subdomain1"
proceses        = 5
request_timeout = "10"
`))
	problems, _ := errors.AsType[tomlfile.Problems](err)
	for _, p := range problems {
		fmt.Println(p)
		fmt.Println("    hint:", p.Hint)
	}
	// Output:
	// /srv/sites.toml:5: unknown key "site.news.proceses"
	//     hint: did you mean "processes"?
	// /srv/sites.toml:6: site.news.request_timeout: "10" has no unit
	//     hint: write "10s"
}
