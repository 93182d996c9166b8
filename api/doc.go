// Package api holds the types of the HTTP interface of dnet: what goes over the wire, in
// both directions, and the table of errors. Package server answers it, package client asks.
//
// The routes, bodies and field names of 2017 are kept: lists and single objects have the
// fields they had, and more beside them. JSON is what goes in and out, but for errors,
// which are plain text unless the client says that it accepts application/json.
//
// Every path also answers behind one leading element, as in /v1.0/networks, which is not
// looked at.
package api
