package rtnl

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// attribute is one rtattr of an answer.
type attribute struct {
	kind  uint16 // without flags
	value []byte
}

// errCutOff is what is wrong with attributes that claim more than there is.
var errCutOff = errors.New("netlink attributes: cut off")

// parseAttributes cuts the part of a message behind its header into attributes. The
// last one need not be padded.
func parseAttributes(data []byte) ([]attribute, error) {
	var out []attribute
	for len(data) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(data))
		if size < unix.SizeofRtAttr || size > len(data) {
			return nil, errCutOff
		}
		kind := binary.NativeEndian.Uint16(data[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
		out = append(out, attribute{kind, data[unix.SizeofRtAttr:size]})
		data = data[min(align(size), len(data)):]
	}
	return out, nil
}
