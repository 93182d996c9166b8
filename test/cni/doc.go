// Package cni has the tests of the CNI plugin as a program: what runtimes start, with an
// environment and a configuration, and what they read.
package cni
