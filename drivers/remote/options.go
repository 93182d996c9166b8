package remote

import (
	"strings"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/label"
)

// Options of a network that we look after, for all drivers. The plugin hears of them with
// its own.
const (
	optPrefix    = prefix + "container_iface_prefix"
	optMessages  = prefix + "advertise_addr_nmsgs"
	optInterval  = prefix + "advertise_addr_ms"
	fieldPrefix  = "ContainerIfacePrefix" // what Go callers of 2017 say
	longestStart = 12                     // a number of three digits fits behind it
)

// checkNetwork returns the beginning of interface names that the user chose, empty for
// none, and what is wrong with the options that are ours. Intervals are in milliseconds.
func checkNetwork(n *cnm.Network) (start string, err error) {
	ours := make(map[string]string)
	for key, value := range n.Options {
		if key == optPrefix || key == optMessages || key == optInterval || strings.EqualFold(key, fieldPrefix) {
			ours[key] = value
		}
	}
	d := label.NewDecoder(ours, []string{optPrefix, fieldPrefix}, []string{optMessages}, []string{optInterval})
	start = d.String(optPrefix)
	if d.Has(optPrefix) && (len(start) > longestStart || !validLink(start)) {
		d.Refuse(optPrefix, "1 to 12 characters without blanks, '/', ':' and '%'")
	}
	d.Int(optMessages, 0, 3, 0)
	d.Int(optInterval, 100, 2000, 0)
	return start, d.Err()
}
