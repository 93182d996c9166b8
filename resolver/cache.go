package resolver

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// A cache has parts, each with a lock: many more than there are processors, so that they
// seldom meet, but not so many that a small cache is full in one part and empty in others.
const (
	mostShards      = 64
	entriesPerShard = 64
)

// cache keeps answers by question and upstreams. Which ones go when it is full is decided
// by CLOCK: what was used since the hand came by last stays for another round, so that
// reading takes no lock for itself.
type cache struct {
	seed    maphash.Seed
	shards  []shard
	evicted atomic.Int64
}

type shard struct {
	mu      sync.RWMutex // guards what follows; nothing waits under it
	index   map[string]int
	ring    []*cached
	hand    int
	bytes   int
	entries int // the most
	limit   int // of bytes
}

// cached is an answer in the ring.
type cached struct {
	key    string
	answer *answer
	size   int
	used   atomic.Bool
}

// newCache returns a cache for so many answers and bytes.
func newCache(entries, size int) *cache {
	number := min(max(entries/entriesPerShard, 1), mostShards)
	c := &cache{seed: maphash.MakeSeed(), shards: make([]shard, number)}
	for i := range c.shards {
		s := &c.shards[i]
		s.index = make(map[string]int)
		s.entries, s.limit = entries/number, size/number
	}
	return c
}

func (c *cache) shard(key []byte) *shard {
	return &c.shards[maphash.Bytes(c.seed, key)%uint64(len(c.shards))]
}

// get returns an answer that is still good, or nil. A nil cache has none.
func (c *cache) get(key []byte, now time.Time) *answer {
	if c == nil {
		return nil
	}
	s := c.shard(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	at, ok := s.index[string(key)]
	if !ok {
		return nil
	}
	entry := s.ring[at]
	if now.Sub(entry.answer.came) >= entry.answer.life {
		return nil // the hand will find it
	}
	if !entry.used.Load() {
		entry.used.Store(true)
	}
	return entry.answer
}

// put keeps an answer, in the place of one with the same key. One that would take much of
// the room is not kept.
func (c *cache) put(key string, a *answer) {
	if c == nil || a.life <= 0 {
		return
	}
	entry := &cached{key: key, answer: a, size: a.size() + len(key)}
	s := c.shard([]byte(key))
	s.mu.Lock()
	defer s.mu.Unlock()
	if entry.size > s.limit/2 {
		return
	}
	if at, ok := s.index[key]; ok {
		s.bytes += entry.size - s.ring[at].size
		s.ring[at] = entry
	} else {
		s.index[key] = len(s.ring)
		s.ring = append(s.ring, entry)
		s.bytes += entry.size
	}
	for len(s.ring) > s.entries || s.bytes > s.limit {
		s.evict(entry, a.came)
		c.evicted.Add(1)
	}
}

// evict takes out what the hand finds unused or stale, but what is new.
func (s *shard) evict(fresh *cached, now time.Time) {
	for {
		if s.hand >= len(s.ring) {
			s.hand = 0
		}
		entry := s.ring[s.hand]
		stale := now.Sub(entry.answer.came) >= entry.answer.life
		if entry == fresh || !stale && entry.used.Swap(false) {
			s.hand++
			continue
		}
		last := len(s.ring) - 1
		s.ring[s.hand] = s.ring[last]
		s.index[s.ring[s.hand].key] = s.hand
		s.ring[last] = nil
		s.ring = s.ring[:last]
		delete(s.index, entry.key)
		s.bytes -= entry.size
		return
	}
}

// usage returns how many answers there are, and the bytes that they take.
func (c *cache) usage() (entries, size int) {
	if c == nil {
		return 0, 0
	}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		entries += len(s.ring)
		size += s.bytes
		s.mu.RUnlock()
	}
	return entries, size
}
