package cnm

// Owner returns the owner of the network's parts.
func (n *Network) Owner() string { return "network/" + n.ID }

// ParentOwner returns the owner of a link of the host that networks hang on and share.
func ParentOwner(link string) string { return "parent/" + link }

// Owner returns the owner of the endpoint's parts.
func (e *Endpoint) Owner() string { return "endpoint/" + e.ID }

// Owner returns the owner of the sandbox's own parts.
func (s *Sandbox) Owner() string { return "sandbox/" + s.ID }

// Own reports whether the sandbox has a namespace of its own to work in, now or once it
// has been set.
func (s *Sandbox) Own() bool { return !s.Host && !s.Handover }
