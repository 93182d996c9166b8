//go:build !unix

package command

import "os"

// programSignals returns the one signal that there is everywhere.
func programSignals(bool) (passOn, here []os.Signal) { return []os.Signal{os.Interrupt}, nil }

// signalNumber returns that of an interrupt, the one signal there is.
func signalNumber(os.Signal) int { return 2 }
