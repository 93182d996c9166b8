// Package kerneltest is for tests of what stands on package kernel: a fake host,
// namespaces to play in, the contract that every [kernel.Host] fulfils, and hosts
// that fail when they are told to.
package kerneltest
