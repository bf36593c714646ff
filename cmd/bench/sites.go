package main

import "fmt"

// page is what a client requests, and how it recognizes the right answer.
type page struct {
	path string
	want string // must be in the body of a 200
}

// djangoSites returns n sites of the article's kind: one code base, settings of
// their own, a host each.
func djangoSites(n, processes int) []site {
	var sites []site
	for i := range n {
		kind := i%2 + 1
		s := site{
			name:      fmt.Sprintf("site%d", i+1),
			host:      fmt.Sprintf("site%d.example.com", i+1),
			settings:  fmt.Sprintf("subdomain%d_settings", kind),
			entry:     "wsgi:application",
			processes: processes,
		}
		s.pages = mixedPages(kind)
		sites = append(sites, s)
	}
	return sites
}

// siteNames are the names in the test database, by SITE_ID.
var siteNames = [...]string{1: "Subdomain One", 2: "Subdomain Two"}

// mixedPages are 50 % hello, 40 % a page with a query and templates, and 10 % the login form
// of the admin.
func mixedPages(kind int) []page {
	var (
		hello = helloPage(kind)
		list  = page{"/", "<title>" + siteNames[kind] + "</title>"}
		login = page{"/admin/login/", `name="csrfmiddlewaretoken"`}
	)
	return []page{hello, list, hello, list, hello, login, hello, list, hello, list}
}

// helloPage is one line, through the article's whole middleware.
func helloPage(kind int) page {
	return page{"/hello/", fmt.Sprintf("Hello from %s (SITE_ID %d)\n", siteNames[kind], kind)}
}

// bareSite answers without any framework.
func bareSite(processes int) site {
	return site{
		name: "bare", host: "bare.example.com", entry: "bare:application", processes: processes,
		pages: []page{{"/", "Hello, world!\n"}},
	}
}
