//go:build race

package main

// raceDetector tells that this program, which the tests run as multisite, keeps a
// history of its memory: how much it holds, and how fast it is, says nothing.
const raceDetector = true
