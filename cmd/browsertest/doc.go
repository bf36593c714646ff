// Package browsertest holds the tests that need a real browser, chromium or Chrome. It
// is a module of its own, so that the browser's driver is no dependency of multisite:
//
//	cd cmd/browsertest && go test ./...
package browsertest
