package networkdb

// Kill ends the database without a word to others, as if its process had been killed.
func (d *NetworkDB) Kill() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.shutdown()
}

// Count returns how many entries of a table are shown.
func (d *NetworkDB) Count(table string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	count := 0
	for _, n := range d.state.networks {
		for id, place := range n.slots {
			if id.table == table && place.shown != nil {
				count++
			}
		}
	}
	return count
}

// Skew advances the clocks.
func (d *NetworkDB) Skew(by uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state.networkClock.now += by
	d.state.tableClock.now += by
}
