package networkdb

// clock is a Lamport clock: it never goes back, and is ahead of every time it has seen.
type clock struct {
	now uint64
}

// maxLeap is how far ahead of the clock a time may be. A clock advances by one for each
// event, so that no honest node is further ahead; a leap to the end of the numbers would
// leave no room for later events.
const maxLeap = 1 << 40

// tick advances the clock and returns the new time.
func (c *clock) tick() uint64 {
	c.now++
	return c.now
}

// witness takes note of a time that another node had. It returns false, and does nothing,
// if there cannot be such a time.
func (c *clock) witness(t uint64) bool {
	if t > c.now+maxLeap {
		return false
	}
	c.now = max(c.now, t)
	return true
}
