package kernel

import "maps"

// Sends returns how many datagrams the host has sent, over all its namespaces.
func Sends(h Host) (n uint64) {
	real := h.(*host)
	real.mu.Lock()
	spaces := maps.Clone(real.open)
	real.mu.Unlock()
	for _, s := range spaces {
		n += s.conn.Sends()
	}
	return n
}
