package networkdb

// clock is a Lamport clock: it never goes back, and is ahead of every time it has seen.
type clock struct {
	now uint64
}

const (
	// maxLeap is how far ahead of the clock a time may be. A clock advances by one for
	// each event, so that no honest node is further ahead; a leap to the end of the
	// numbers would leave no room for later events.
	maxLeap = 1 << 40
	// A young clock, below youngClock, takes any time up to firstLeap: the node may be
	// new to a cluster that has gone on for long.
	youngClock = 1 << 20
	firstLeap  = 1 << 62
)

// tick advances the clock and returns the new time.
func (c *clock) tick() uint64 {
	c.now++
	return c.now
}

// witness takes note of a time that another node had. It returns false, and does nothing,
// if there cannot be such a time.
func (c *clock) witness(t uint64) bool {
	limit := c.now + maxLeap
	if c.now < youngClock {
		limit = firstLeap
	}
	if t > limit {
		return false
	}
	c.now = max(c.now, t)
	return true
}
