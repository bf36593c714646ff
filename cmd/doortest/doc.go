// Package doortest tests the front door against what it meets on the internet: an
// authority that speaks ACME (Let's Encrypt's pebble), and clients that speak HTTP/2 as the
// standard says or not (h2spec). It is a module of its own, so that
// the program does not depend on what only these tests need.
package doortest
