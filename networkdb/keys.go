package networkdb

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/memberlist"

	"github.com/docker/libnetwork/cnm"
)

// SetKey adds a key to the ring: what was encrypted with it is understood from now on. A
// rotation adds the new key on every node, then makes it the primary one on every node,
// then removes the old one.
func (d *NetworkDB) SetKey(key []byte) error {
	const op = "set key"
	if err := memberlist.ValidateKey(key); err != nil {
		return cnm.E(op, cnm.Invalid, fmt.Errorf("key: %w", errKeySize))
	}
	return d.withRing(op, func(ring *memberlist.Keyring) error { return ring.AddKey(key) })
}

// SetPrimaryKey makes a key of the ring the one by which is sent.
func (d *NetworkDB) SetPrimaryKey(key []byte) error {
	const op = "set primary key"
	return d.withRing(op, func(ring *memberlist.Keyring) error {
		if !hasKey(ring, key) {
			return cnm.E(op, cnm.NotFound, errors.New("the key is not in the ring: set it first"))
		}
		return ring.UseKey(key)
	})
}

// RemoveKey removes a key from the ring. That the ring lacks it is no error; the primary
// key stays.
func (d *NetworkDB) RemoveKey(key []byte) error {
	const op = "remove key"
	return d.withRing(op, func(ring *memberlist.Keyring) error {
		if !hasKey(ring, key) {
			return nil
		}
		primary := ring.GetPrimaryKey()
		if bytes.Equal(key, primary) {
			return cnm.E(op, cnm.Forbidden, errors.New("it is the primary key: make another one primary first"))
		}
		// Memberlist removes a key by moving those behind it, in a list that its readers
		// use meanwhile. Behind the last one there is none. A key that is made primary
		// goes to the front, and so for a moment others of the ring, which every node
		// that follows a rotation understands, are primary.
		keys := slices.Clone(ring.GetKeys())
		for _, behind := range keys[slices.IndexFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) })+1:] {
			if err := ring.UseKey(behind); err != nil {
				return err
			}
		}
		if err := ring.UseKey(primary); err != nil {
			return err
		}
		return ring.RemoveKey(key)
	})
}

func hasKey(ring *memberlist.Keyring, key []byte) bool {
	return slices.ContainsFunc(ring.GetKeys(), func(k []byte) bool { return bytes.Equal(k, key) })
}

// withRing calls fn, alone, with the ring.
func (d *NetworkDB) withRing(op string, fn func(*memberlist.Keyring) error) error {
	if d.ring == nil {
		return cnm.E(op, cnm.Forbidden, errors.New("the database was started without keys: start it with some"))
	}
	d.ringMu.Lock()
	defer d.ringMu.Unlock()
	return cnm.Wrap(op, fn(d.ring))
}
