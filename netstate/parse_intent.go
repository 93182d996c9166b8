package netstate

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParseIntent reads what Intent.String wrote: back ends keep it beside what they made
// of the intent, and so can tell what is there. Anything else is an error.
func ParseIntent(text string) (Intent, error) {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return Intent{}, fmt.Errorf("intent %q: is empty", text)
	}
	p := &intentParser{fields: fields[1:]}
	intent := p.intent(IntentKind(fields[0]))
	if len(p.fields) > 0 {
		p.fail("%d words too many", len(p.fields))
	}
	if p.err == nil && intent.String() != text {
		p.fail("is not in the one form there is, %q", intent)
	}
	if p.err != nil {
		return Intent{}, fmt.Errorf("intent %q: %w", text, p.err)
	}
	return intent, nil
}

// intentParser takes word by word and keeps the first error.
type intentParser struct {
	fields []string
	err    error
}

func (p *intentParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *intentParser) intent(kind IntentKind) Intent {
	i := Intent{Kind: kind}
	switch kind {
	case Inbound:
		i.IPv6, i.Link, i.Policy = p.family(), p.next(), p.policy()
	case Confine:
		i.IPv6, i.Link = p.family(), p.next()
	case Allow:
		i.From = p.next()
		p.word("to")
		i.Link = p.next()
	case Loopback, Separate:
		i.Link = p.next()
	case Hairpin:
		i.Prefix = p.prefix()
		p.word("on")
		i.Link = p.next()
	case Masquerade:
		i.Prefix = p.prefix()
		if len(p.fields) > 0 {
			p.word("as")
			i.Source = p.address()
		}
	case Publish:
		i.Protocol = p.protocol()
		i.Host, i.Port, i.PortEnd = p.ports()
		p.word("to")
		i.Target, i.TargetPort, _ = p.ports()
	case Open:
		i.Protocol = p.protocol()
		i.Target, i.Port, i.PortEnd = p.ports()
	default:
		p.fail("there is no kind %q", kind)
	}
	return i
}

func (p *intentParser) next() string {
	if len(p.fields) == 0 {
		p.fail("ends too early")
		return ""
	}
	word := p.fields[0]
	p.fields = p.fields[1:]
	return word
}

func (p *intentParser) word(want string) {
	if got := p.next(); got != want {
		p.fail("%q: want %q", got, want)
	}
}

func (p *intentParser) family() bool {
	got := p.next()
	if got != family(false) && got != family(true) {
		p.fail("%q: is no address family", got)
	}
	return got == family(true)
}

func (p *intentParser) policy() Policy {
	policy := Policy(p.next())
	switch policy {
	case Published, Opened, Everything, Nothing:
	default:
		p.fail("there is no policy %q", policy)
	}
	return policy
}

func (p *intentParser) protocol() Protocol {
	got := p.next()
	for _, protocol := range []Protocol{TCP, UDP, SCTP} {
		if got == protocol.String() {
			return protocol
		}
	}
	p.fail("%q: is no protocol with ports", got)
	return 0
}

func (p *intentParser) prefix() netip.Prefix {
	prefix, err := netip.ParsePrefix(p.next())
	if err != nil {
		p.fail("%w", err)
	}
	return prefix
}

func (p *intentParser) address() netip.Addr {
	address, err := netip.ParseAddr(p.next())
	if err != nil {
		p.fail("%w", err)
	}
	return address
}

// ports reads an address with a port, or with a first and a last one.
func (p *intentParser) ports() (address netip.Addr, first, last uint16) {
	text, end := p.next(), ""
	if i := strings.LastIndexByte(text, '-'); i >= 0 {
		text, end = text[:i], text[i+1:]
	}
	start, err := netip.ParseAddrPort(text)
	if err != nil {
		p.fail("%w", err)
		return address, 0, 0
	}
	last = start.Port()
	if end != "" {
		number, err := strconv.ParseUint(end, 10, 16)
		if err != nil || uint16(number) <= start.Port() {
			p.fail("%q: is no last port of a range that begins with %d", end, start.Port())
		}
		last = uint16(number)
	}
	return start.Addr(), start.Port(), last
}
