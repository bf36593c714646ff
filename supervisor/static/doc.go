// Package static finds and opens the static files of sites, keeps those open that are
// requested often, and says what the answer to a request for one is. It sends nothing.
//
// A file is opened with the rights of its site's user, below the directory that the site
// names, and is shown to no other site: what is open is found by the site and the path of
// the request. What was found is looked up again after a second at most, from the
// directory on, so a file that was changed, replaced, removed or closed to the site's user
// is not served as it was for longer than that.
//
// What may block on a disk is done by goroutines, of which each site has few: a disk that
// hangs stops neither the front door nor other sites.
package static
