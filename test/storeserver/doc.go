// Package storeserver is for tests: it runs real servers of stores, on the loopback of
// the caller's namespace, with their data in a folder that goes with the test. They can
// be killed, paused and started again. It works on Linux; callers run in kerneltest.Main.
package storeserver
