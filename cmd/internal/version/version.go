// Package version tells which version of the programs this is.
package version

import "runtime/debug"

// stamp is the version that `make dnet` gives to the linker.
var stamp string //nolint:gochecknoglobals // the linker writes to nothing else

// Version returns the stamp, or else the version of the module, which go takes from the tag
// when it builds. Without both it is "development".
func Version() string {
	if stamp != "" {
		return stamp
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}
