package main

import "fmt"

// published is one of the projects in the directory projects: published software with a few
// files of ours, in a virtual environment of its own.
type published struct {
	name     string // of its directory
	packages string // the package whose version the report gives
	entry    string // "module:callable"
	settings string // of site %d; "": it is no Django
	source   string // directory of the code in the repository; "": projects/NAME
	redis    bool   // needs a Redis at redis.sock beside its database
	heavy    bool   // gets a quarter of the requests
	pages    func(site int) []page
}

// allPublished returns all projects. Their pages are those that a visitor without a session may
// see.
func allPublished() []published {
	return []published{
		{name: "article", packages: "Django", entry: "wsgi:application", settings: "subdomain%d_settings", source: "testdata/django", pages: mixedPages},
		{name: "wagtail", packages: "wagtail", entry: "wsgi:application", settings: "site%d_settings", pages: same(
			page{"/", "<title>Welcome</title>"}, page{"/article-3/", "text</b> of article 3"}, page{"/article-7/", "text</b> of article 7"},
			page{"/search/?query=article", "Article 11"}, page{"/", "<title>Welcome</title>"}, page{"/admin/login/", "csrfmiddlewaretoken"})},
		{name: "djangocms", packages: "django-cms", entry: "wsgi:application", settings: "site%d_settings", pages: same(
			page{"/", "text</b> of article 0"}, page{"/article-3/", "text</b> of article 3"}, page{"/article-7/", "text</b> of article 7"},
			page{"/admin/login/", "csrfmiddlewaretoken"})},
		{name: "pretix", packages: "pretix", entry: "wsgi:application", settings: "site%d_settings", redis: true, heavy: true, pages: same(
			page{"/bench/conf/", "Ticket 7"}, page{"/bench/", "Conference"}, page{"/", "pretix"}, page{"/bench/conf/", "Ticket 7"},
			page{"/control/login", "csrfmiddlewaretoken"})},
		{name: "flask", packages: "Flask", entry: "app:app", pages: same(
			page{"/", "Category 4"}, page{"/item/7", "Item 6"}, page{"/search?q=em%201", "Item 19"}, page{"/totals", `"Category 0":20`})},
		{name: "pandas", packages: "pandas", entry: "app:app", pages: same(
			page{"/", "north"}, page{"/months", `"south"`}, page{"/csv", "2026-"}, page{"/hello", "hello"})},
	}
}

// same returns the same pages for every site.
func same(pages ...page) func(int) []page {
	return func(int) []page { return pages }
}

// sites returns two sites of the project, each with so many processes.
func (k published) sites(processes int) []site {
	var sites []site
	for n := 1; n <= 2; n++ {
		s := site{
			name: fmt.Sprintf("site%d", n), host: fmt.Sprintf("site%d.example.com", n),
			entry: k.entry, processes: processes, pages: k.pages(n),
		}
		if k.settings != "" {
			s.settings = fmt.Sprintf(k.settings, n)
		}
		sites = append(sites, s)
	}
	return sites
}

// requests returns how many requests each site gets.
func (k published) requests(n int) int {
	if k.heavy {
		return n / 4
	}
	return n
}
