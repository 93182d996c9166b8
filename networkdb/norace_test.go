//go:build !race

package networkdb_test

const raceDetector = false
