// Package client asks a dnet daemon over its HTTP interface, by a Unix socket or by TCP.
//
//	c, err := client.New("")
//	networks, err := c.Networks(ctx, client.NetworkFilter{})
//
// Every method takes a context, and nothing else limits the time it takes. Errors that
// the daemon reports, and those of not reaching it, are found by errors.As with
// *api.Error, and by errors.Is with the kinds of package cnm. What is a network, an
// endpoint, a service or a sandbox to a method may be given by id, by the unique
// beginning of an id, or by name; a sandbox also by the id of its container.
package client
