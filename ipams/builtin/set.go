package builtin

import "math/bits"

// A block is a bitmap of blockSize addresses. One is made when the first of its
// addresses is taken, so that a set costs by what is in it, not by what could be.
const (
	blockBits = 9
	blockSize = 1 << blockBits
	words     = blockSize / 64
)

type block struct {
	words [words]uint64
	used  int
}

// set is a set of addresses.
type set struct {
	blocks map[number]*block // by address / blockSize
	used   uint64
	// hint is an address below which none of those that next hands out is free.
	hint number
}

func newSet(first number) *set { return &set{blocks: make(map[number]*block), hint: first} }

func split(n number) (key number, bit uint) {
	return n.shiftRight(blockBits), uint(n.low % blockSize)
}

func (s *set) has(n number) bool {
	key, bit := split(n)
	b := s.blocks[key]
	return b != nil && b.words[bit/64]&(1<<(bit%64)) != 0
}

// add takes an address that is not in the set.
func (s *set) add(n number) {
	key, bit := split(n)
	b := s.blocks[key]
	if b == nil {
		b = &block{}
		s.blocks[key] = b
	}
	b.words[bit/64] |= 1 << (bit % 64)
	b.used++
	s.used++
}

// remove reports whether the address was in the set.
func (s *set) remove(n number) bool {
	key, bit := split(n)
	b := s.blocks[key]
	if b == nil || b.words[bit/64]&(1<<(bit%64)) == 0 {
		return false
	}
	b.words[bit/64] &^= 1 << (bit % 64)
	b.used--
	s.used--
	if b.used == 0 {
		delete(s.blocks, key)
	}
	if n.less(s.hint) {
		s.hint = n
	}
	return true
}

// free returns the lowest address from first to final that is not in the set.
func (s *set) free(first, final number) (number, bool) {
	for n := first; !final.less(n); {
		key, bit := split(n)
		b := s.blocks[key]
		if b == nil {
			return n, true
		}
		if found, ok := b.free(bit); ok {
			n = key.shiftLeft(blockBits).plus(uint64(found))
			return n, !final.less(n)
		}
		next := key.plus(1).shiftLeft(blockBits)
		if next.less(n) { // past the highest address there is
			break
		}
		n = next
	}
	return number{}, false
}

// free returns the lowest bit from first on that is not set.
func (b *block) free(first uint) (uint, bool) {
	if b.used == blockSize {
		return 0, false
	}
	for i := first / 64; i < words; i++ {
		word := ^b.words[i]
		if i == first/64 {
			word &= ^uint64(0) << (first % 64)
		}
		if word != 0 {
			return i*64 + uint(bits.TrailingZeros64(word)), true
		}
	}
	return 0, false
}
