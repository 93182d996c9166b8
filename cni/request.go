package cni

import (
	"strings"
	"unicode/utf8"

	"github.com/containernetworking/cni/pkg/types"
)

// Commands of the specification, section "CNI operations".
const (
	commandAdd     = "ADD"
	commandDelete  = "DEL"
	commandCheck   = "CHECK"
	commandStatus  = "STATUS"
	commandGC      = "GC"
	commandVersion = "VERSION"
)

// request is what the environment says.
type request struct {
	command     string
	container   string
	netns       string
	ifname      string
	args        string
	environment func(string) string
}

// longestID is how long a container's id may be, in bytes. The specification names no
// bound; runtimes use 64.
const longestID = 256

// longestInterface is IFNAMSIZ less its zero byte (linux/if.h).
const longestInterface = 15

// newRequest reads the environment and refuses what is missing or malformed, by name.
func newRequest(environment func(string) string) (*request, error) {
	r := &request{
		command: environment("CNI_COMMAND"), container: environment("CNI_CONTAINERID"), netns: environment("CNI_NETNS"),
		ifname: environment("CNI_IFNAME"), args: environment("CNI_ARGS"), environment: environment,
	}
	switch r.command {
	case "":
		return r, badEnvironment("CNI_COMMAND: is missing; this is a CNI plugin, which container runtimes start")
	case commandAdd, commandCheck:
		return r, r.require("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME")
	case commandDelete:
		return r, r.require("CNI_CONTAINERID", "CNI_IFNAME")
	case commandStatus, commandVersion:
		return r, nil
	case commandGC:
		return r, r.require("CNI_PATH")
	}
	return r, badEnvironment("CNI_COMMAND %q: want ADD, DEL, CHECK, GC, STATUS or VERSION", r.command)
}

func badEnvironment(format string, arguments ...any) *types.Error {
	return fail(types.ErrInvalidEnvironmentVariables, format, arguments...)
}

// require checks that the variables are set, and that ids and names are well formed.
func (r *request) require(names ...string) error {
	var missing []string
	for _, name := range names {
		if r.environment(name) == "" {
			missing = append(missing, name)
		}
	}
	switch {
	case len(missing) > 0:
		return badEnvironment("%s: is missing for %s", strings.Join(missing, ", "), r.command)
	case r.container != "" && !validID(r.container):
		return badEnvironment("CNI_CONTAINERID %q: want a letter or digit, and then up to %d letters, digits, '_', '.' or '-'", r.container, longestID-1)
	case r.ifname != "" && !validInterface(r.ifname):
		return badEnvironment("CNI_IFNAME %q: want 1 to %d characters without blanks, '/', ':' and '%%', and not '.' or '..'", r.ifname, longestInterface)
	}
	return nil
}

// validID follows section "Parameters": alphanumeric first, then also '_', '.' and '-'.
func validID(id string) bool {
	if len(id) > longestID {
		return false
	}
	for i, r := range []byte(id) {
		alphanumeric := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !alphanumeric && (i == 0 || !strings.ContainsRune("_.-", rune(r))) {
			return false
		}
	}
	return id != ""
}

// validInterface is what the kernel takes (dev_valid_name in net/core/dev.c), and takes for a
// name: "eth%d" is the pattern of one.
func validInterface(name string) bool {
	// JSON, in which records are, has no other text than UTF-8.
	if name == "" || !utf8.ValidString(name) || name == "." || name == ".." || len(name) > longestInterface {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r == ':' || r == '%' || r <= ' ' || r == 0x7f })
}
