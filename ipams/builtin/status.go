package builtin

// Status says how much of a pool is in use.
type Status struct {
	// Used counts the addresses that are taken, those of gateways and those that were
	// chosen outside the sub-pool with them.
	Used uint64
	// Available counts the addresses that can still be handed out unasked, which is in
	// the sub-pool if there is one. It is the largest uint64 if they are more.
	Available uint64
	// Holders names who has the pool: the Holder of its request, nobody if that was
	// empty.
	Holders []string
}

// Status returns the state of a pool. NotFound is for an unknown one.
func (m *IPAM) Status(poolID string) (Status, error) {
	p, err := m.pool(opStatus, poolID)
	if err != nil {
		return Status{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	status := Status{Used: p.used, Available: p.size().minus(number{low: p.usedInRange}).uint64()}
	if p.holder != "" {
		status.Holders = []string{p.holder}
	}
	return status, nil
}
