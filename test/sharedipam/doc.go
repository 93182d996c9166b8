// Package sharedipam has the tests of package ipams/shared with what decides for it,
// package ipams/builtin, and with the stores that hosts share: implementations of one
// contract do not import each other.
package sharedipam
