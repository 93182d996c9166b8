// Package protocol has the messages of the protocol that container engines speak with
// plugins, version 1: one HTTP POST for each call, with the path /Type.Method and a JSON
// object, and a JSON object as the answer. Both sides use these types; there is no
// behaviour here.
//
// Subnets and addresses are text, as they come: whoever gets a message checks it. Fields
// that a side does not know are ignored by it.
package protocol

// ContentType is that of answers, and what callers say that they accept. Version 1.1 and
// 1.2 differ in nothing that is here.
const ContentType = "application/vnd.docker.plugins.v1.1+json"

// What a plugin can implement: the types of methods.
const (
	NetworkDriver = "NetworkDriver"
	IpamDriver    = "IpamDriver"
)

// Activate is the method by which a plugin says what it implements. It is asked once, with
// an empty body.
const Activate = "Plugin.Activate"

// Activation answers Activate.
type Activation struct {
	// Implements has NetworkDriver, IpamDriver or both.
	Implements []string
}

// Empty is a request or an answer without content.
type Empty struct{}

// Failure is an answer that is none: what went wrong, in words. A network driver says it
// in Err, an address manager in Error if the status is 200, and in Err otherwise.
type Failure struct {
	Err   string `json:",omitempty"`
	Error string `json:",omitempty"`
}
