// Package rules has a test that writes the pages of docs/rules, which show what the packet
// filter holds for each kind of network and how a packet goes through it, and that fails
// when a page is not what the back ends make today. To write them anew:
//
//	sudo go test ./test/rules -update
package rules
