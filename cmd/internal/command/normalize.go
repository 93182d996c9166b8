package command

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// program marks a command whose words behind the first are another program's.
const program = "program"

// normalize makes today's form of arguments: long flags may have one dash, as in 2017
// (-no-trunc), and -d before a command is the command daemon, to which the flags before
// it belong. What is behind "--", and values of flags, stay as they are. If no command is
// named, the one called bare is; without one of these either, there is none.
func normalize(root *cobra.Command, args []string, bare string) []string {
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		return args
	}
	n := normalizer{command: root, first: -1}
	rest := args
	for len(rest) > 0 {
		rest = n.next(rest)
	}
	if !n.daemon && n.first < 0 && bare != "" {
		return normalize(root, slices.Concat([]string{bare}, n.out), "")
	}
	if !n.daemon {
		return n.out
	}
	before, behind := n.out, []string(nil)
	if n.first >= 0 {
		before, behind = n.out[:n.first], n.out[n.first:]
	}
	if len(behind) > 0 && behind[0] == daemonName {
		behind = behind[1:]
	}
	return slices.Concat([]string{daemonName}, before, behind)
}

// normalizer goes through the arguments.
type normalizer struct {
	command *cobra.Command
	out     []string
	// daemon says that the daemon is meant, and first is where in out the first command
	// is; it is negative before there is one.
	daemon bool
	first  int
	// words says that a word has been seen that is no command.
	words bool
}

// next takes one argument, with its value if it has one, and returns the rest.
func (n *normalizer) next(args []string) []string {
	arg, rest := args[0], args[1:]
	switch {
	case arg == "--":
		n.out = append(n.out, args...)
		return nil
	case len(arg) < 2 || arg[0] != '-':
		return n.word(arg, rest)
	}
	f := n.flag(arg)
	if f.daemon {
		n.daemon = true
		if f.arg == "" {
			return rest
		}
	}
	n.out = append(n.out, f.arg)
	if f.takesNext && len(rest) > 0 {
		n.out = append(n.out, rest[0])
		rest = rest[1:]
	}
	return rest
}

// word takes a word: a command, or an argument of one.
func (n *normalizer) word(arg string, rest []string) []string {
	n.out = append(n.out, arg)
	if n.words {
		return rest
	}
	for _, below := range n.command.Commands() {
		if below.Name() == arg || below.HasAlias(arg) {
			if !n.command.HasParent() {
				n.first = len(n.out) - 1
				n.daemon = n.daemon || arg == daemonName
			}
			n.command = below
			return rest
		}
	}
	n.words = true
	if n.command.Annotations[program] != "" {
		n.out = append(n.out, rest...)
		return nil
	}
	return rest
}

// flagged is an argument that sets a flag.
type flagged struct {
	// arg has as many dashes as the flag needs; it is empty if nothing is left of it.
	arg string
	// daemon says that -d or --daemon was in it, before any command, and has been taken out.
	daemon bool
	// takesNext says that the next argument is the flag's value.
	takesNext bool
}

func (n *normalizer) flag(arg string) flagged {
	n.command.InitDefaultHelpFlag()
	n.command.InheritedFlags() // adds them to Flags
	flags := n.command.Flags()
	name, value, given := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	long := flags.Lookup(name)
	if long == nil && !n.command.HasParent() {
		long = daemonFlag(n.command, name) // the daemon may be meant, which is known later
	}
	if strings.HasPrefix(arg, "--") || long != nil && len(name) > 1 {
		if !strings.HasPrefix(arg, "--") {
			arg = "-" + arg
		}
		if long != nil && name == "daemon" && !n.command.HasParent() && (!given || value == "true") {
			return flagged{daemon: true}
		}
		return flagged{arg: arg, takesNext: long != nil && long.NoOptDefVal == "" && !given}
	}
	if arg == "-d=true" && !n.command.HasParent() {
		return flagged{daemon: true}
	}
	return n.letters(flags, flagged{arg: arg})
}

// daemonFlag returns a flag of the daemon, or nil.
func daemonFlag(root *cobra.Command, name string) *pflag.Flag {
	for _, below := range root.Commands() {
		if below.Name() == daemonName {
			return below.Flags().Lookup(name)
		}
	}
	return nil
}

// letters looks at flags of one letter each behind one dash; all but the last are without
// a value.
func (n *normalizer) letters(flags *pflag.FlagSet, f flagged) flagged {
	for i := 1; i < len(f.arg); i++ {
		flag := flags.ShorthandLookup(f.arg[i : i+1])
		if flag == nil || i+1 < len(f.arg) && f.arg[i+1] == '=' {
			return f
		}
		if flag.NoOptDefVal == "" {
			f.takesNext = i == len(f.arg)-1
			return f
		}
		if flag.Name == "daemon" && !n.command.HasParent() {
			f.daemon = true
			f.arg = f.arg[:i] + f.arg[i+1:]
			i--
		}
	}
	if f.arg == "-" {
		f.arg = ""
	}
	return f
}
