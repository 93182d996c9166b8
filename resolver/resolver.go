// Package resolver is the DNS server of containers: it answers their names, and asks name
// servers outside for the rest.
//
// [Names] are what one network knows, a [View] is what one container sees of them, and
// both never change: a caller builds new ones and swaps a pointer. A [Server] answers the
// questions of one container from its view, authoritatively, and gives the others to a
// [Forwarder], of which a host has one. Sockets and dialers are handed in, so nothing in
// here knows about network namespaces.
//
// # What is answered here
//
// A name that a view has is answered from it for all types, without records if there are
// none of the type: no container's name goes to a server outside. The same holds for names
// below it that begin with an underscore, such as _http._tcp.web (RFC 8552), and for
// reverse names of addresses in the networks of the view: those without a name do not
// exist. Such answers have the AA bit, a short time to live, and no SOA record, so that
// nobody remembers that a name was not there yet (RFC 2308, section 5). ANY gets one HINFO
// record (RFC 8482, section 4.2).
//
// Classes other than IN and zone transfers are refused, operations other than QUERY are
// not implemented. What is malformed gets FORMERR if it has a header, and nothing if it
// has none or is itself an answer.
//
// # What is asked outside
//
// All other questions go to the upstreams. Messages stay as they are on the wire: of an
// answer only the ID, the spelling of the question, the times to live and the OPT record,
// which is between neighbours (RFC 6891), are changed. Equal questions are asked once and
// their answers are kept, for all containers with the same upstreams.
//
// Questions that carry more than the usual, such as a client subnet or a signature, are
// passed on as they came (RFC 5625), and are neither shared nor kept.
package resolver
