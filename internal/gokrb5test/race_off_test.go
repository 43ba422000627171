//go:build !race

package gokrb5test

const raceDetector = false
