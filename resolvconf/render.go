package resolvconf

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/libnetwork/internal/atomicfile"
)

const (
	mark     = "# libnetwork: " // begins every line that Parse is to pass over
	hashMark = mark + "hash "
)

// usedServers is MAXNS of resolv.conf(5).
const usedServers = 3

// Render returns the text of the file. Comments say that it was made from the source,
// usually a path, what was changed, and what a reader may miss; the last one holds the
// hash for Modified. The same file and source give the same text. Servers that are not
// valid addresses are not written.
func (f *File) Render(source string) []byte {
	var b bytes.Buffer
	b.WriteString(mark + "made from " + oneLine(source) + "; if you change this file, it stays as you leave it\n")
	for _, note := range f.notes {
		b.WriteString(mark + note + "\n")
	}
	servers := slices.DeleteFunc(slices.Clone(f.Servers), func(a netip.Addr) bool { return !writable(a) })
	switch {
	case len(servers) == 0:
		b.WriteString(mark + "there is no name server: libc asks 127.0.0.1 in the container then\n")
	case len(servers) > usedServers:
		b.WriteString(mark + "libc asks only the first three name servers\n")
	}
	for _, server := range servers {
		b.WriteString("nameserver " + server.String() + "\n")
	}
	writeList(&b, "search", f.Search)
	writeList(&b, "options", f.Options)
	for _, line := range f.others {
		b.WriteString(line + "\n")
	}
	b.WriteString(hashMark + hash(b.Bytes()) + "\n")
	return b.Bytes()
}

func writeList(b *bytes.Buffer, keyword string, values []string) {
	if line := oneLine(strings.Join(values, " ")); line != "" {
		b.WriteString(keyword + " " + line + "\n")
	}
}

// Modified reports whether the content is not what Render returned: its user has
// changed the file, or made it, and wants it to stay so. Line ends behind the hash do
// not count, as an interrupted WriteFile may leave them.
func Modified(content []byte) bool {
	i := bytes.LastIndex(content, []byte(hashMark))
	if i < 0 {
		return true
	}
	return string(bytes.TrimRight(content[i:], "\n")) != hashMark+hash(content[:i])
}

func hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}

// WriteFile writes the content of a resolv.conf, in place if the file exists: it may be
// mounted into a container. A new one gets mode 0644. The kinds of errors are
// Forbidden, Exhausted, Invalid (the path) and Internal.
func WriteFile(path string, content []byte) error {
	return atomicfile.Write(path, content, 0o644)
}
