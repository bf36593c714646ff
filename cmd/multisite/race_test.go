//go:build race

package main

// raceDetector reports that this program, which the tests run as multisite, has the race
// detector, so that its memory and speed mean nothing.
const raceDetector = true
