// Package doortest tests the front door against what it meets on the internet: here an
// authority that speaks ACME (Let's Encrypt's pebble). It is a module of its own, so that
// the program does not depend on what only these tests need.
package doortest
