package builtin

import "math/bits"

// A block is a bitmap of blockSize numbers. 512 make it one cache line.
const (
	blockBits = 9
	blockSize = 1 << blockBits
	words     = blockSize / 64
)

type block struct {
	words [words]uint64
	used  int
}

// set is a set of numbers below 2^127. A block is made when the first of its numbers
// is added and dropped with the last, so that a set costs by what is in it and not by
// what could be. Each operation takes the same few steps however much is in the set.
// The zero set is empty.
type set struct {
	blocks map[number]*block // by number / blockSize
	// full has the keys of the blocks without a free number, so that a search steps
	// over any run of them at once; nil as long as there was none.
	full *set
}

func split(n number) (key number, bit uint) {
	return n.shiftRight(blockBits), uint(n.low % blockSize)
}

func join(key number, bit uint) number {
	n := key.shiftLeft(blockBits)
	n.low |= uint64(bit)
	return n
}

func (s *set) has(n number) bool {
	key, bit := split(n)
	return s.blocks[key].has(bit)
}

// add puts a number that is not in the set into it.
func (s *set) add(n number) {
	key, bit := split(n)
	b := s.blocks[key]
	if b == nil {
		if s.blocks == nil {
			s.blocks = make(map[number]*block)
		}
		b = &block{}
		s.blocks[key] = b
	}
	b.words[bit/64] |= 1 << (bit % 64)
	if b.used++; b.used == blockSize {
		if s.full == nil {
			s.full = &set{}
		}
		s.full.add(key)
	}
}

// remove reports whether the number was in the set.
func (s *set) remove(n number) bool {
	key, bit := split(n)
	b := s.blocks[key]
	if !b.has(bit) {
		return false
	}
	if b.used == blockSize {
		s.full.remove(key)
	}
	b.words[bit/64] &^= 1 << (bit % 64)
	if b.used--; b.used == 0 {
		delete(s.blocks, key)
	}
	return true
}

// free returns the lowest number from the given one on that is not in the set.
func (s *set) free(from number) number {
	key, bit := split(from)
	if found, ok := s.blocks[key].free(bit); ok {
		return join(key, found)
	}
	key = key.next()
	if s.full != nil {
		key = s.full.free(key)
	}
	// That block has a free number, for it is not among the full ones.
	found, _ := s.blocks[key].free(0)
	return join(key, found)
}

// A nil block is an empty one.

func (b *block) has(bit uint) bool {
	return b != nil && b.words[bit/64]&(1<<(bit%64)) != 0
}

// free returns the lowest bit from the given one on that is not set.
func (b *block) free(from uint) (uint, bool) {
	if b == nil {
		return from, true
	}
	for i := from / 64; i < words; i++ {
		word := ^b.words[i]
		if i == from/64 {
			word &= ^uint64(0) << (from % 64)
		}
		if word != 0 {
			return i*64 + uint(bits.TrailingZeros64(word)), true
		}
	}
	return 0, false
}
