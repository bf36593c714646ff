package site

import "testing"

func TestTable_Lookup(t *testing.T) {
	t.Parallel()
	route := func(name, mount string, fallback bool, hosts ...string) Route {
		return Route{Hosts: hosts, Mount: mount, Default: fallback, Site: &Site{Name: name}}
	}
	full := NewTable([]Route{
		route("wild", "/", false, "*.example.com"),
		route("exact", "/", false, "a.example.com"),
		route("shop", "/shop", false, "a.example.com"),
		route("part", "/part", false, "part.example.com"),
		route("default", "/", true),
	})
	for _, test := range []struct {
		name, host, path string
		want             string // "": none
		known            bool
	}{
		{"an exact name beats a wildcard", "a.example.com", "/", "exact", true},
		{"a longer mount beats a shorter one", "a.example.com", "/shop/1", "shop", true},
		{"a mount ends with a path element", "a.example.com", "/shopping", "exact", true},
		{"a wildcard", "b.c.example.com", "/", "wild", true},
		{"a name without this path is not the wildcard's", "part.example.com", "/", "", true},
		{"a wildcard is not for the bare name", "example.com", "/", "default", false},
		{"no name", "", "/", "default", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, known := full.Lookup(test.host, test.path)
			got := ""
			if s != nil {
				got = s.Name
			}
			if got != test.want || known != test.known {
				t.Errorf("got %q, %v, want %q, %v", got, known, test.want, test.known)
			}
		})
	}
	if s, known := NewTable(nil).Lookup("a.example.com", "/"); s != nil || known {
		t.Errorf("got %v, %v of an empty table", s, known)
	}
}
