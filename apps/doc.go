// Package apps is what a Go site is made of.
package apps
