// Package engine has the scenarios in which a real Docker Engine, in a scratch host of its
// own, uses the networks of the program dnet as those of a plugin. It has tests only.
package engine
