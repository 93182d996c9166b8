// Package driverapi holds the names, data and errors of network drivers in the form
// of the 2017 API and the plugin protocol.
//
// The drivers of this library fulfil cnm.Driver instead; the interfaces here are
// for code that was written against them.
package driverapi
