// Package options holds untyped options by name, and turns them into typed structs.
package options
