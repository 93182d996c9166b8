// Package datastore names the scopes and stores of the public API, and says how a
// store is configured. The stores themselves are in the folders below it and
// fulfil cnm.Store.
package datastore
