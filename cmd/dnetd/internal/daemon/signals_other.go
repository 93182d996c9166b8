//go:build !unix

package daemon

import "os"

func handledSignals() []os.Signal { return []os.Signal{os.Interrupt} }

// Nothing reloads or dumps here.

func signalReload() os.Signal { return nil }

func signalDump() os.Signal { return nil }
