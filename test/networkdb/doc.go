// Package networkdb tests network databases as processes on hosts of their own, which a
// switch connects: killed, cut off from each other, and given other keys.
package networkdb
