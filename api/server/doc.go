// Package server answers the HTTP interface that package api describes, with a controller
// behind it. One table, in routes.go, has all routes; the OpenAPI document is made of it.
//
// A handler takes a request whose path and body are decoded, and returns a value or an
// error; nothing else writes to clients. Bad input is refused before anything changes.
package server
